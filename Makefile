# migrate: Alembic inside the PostgreSQL server.  A PGXS project:
#
#	make && sudo make install		PG_CONFIG=... for another server
#	sudo make install-client		bin/ alone, where no server is; prefix=...
#	make installcheck				against a running server
#	make quickstart					a server of its own to try it on
#	make test						a server of its own, and every test
#
# See README.md, and doc/internals.md for the other targets.

EXTENSION = migrate
MODULE_big = migrate

# In a VPATH build, "make -f /path/to/Makefile", the sources are elsewhere.
# PGXS sets srcdir in the same way, but only when it is included.
srcdir := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
# It sets VPATH, too, but for a server that was built in its own sources.
ifneq ($(srcdir),.)
VPATH := $(srcdir)
endif

# A new module is a new file.
SOURCES := $(sort $(wildcard $(srcdir)/src/*.c $(srcdir)/src/*/*.c))
OBJS := $(patsubst $(srcdir)/%.c,%.o,$(SOURCES))

DATA = migrate--1.0.sql

# For clients; they go to the server's bindir.
SCRIPTS := $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/bin/*))

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

PG_CPPFLAGS = -I$(srcdir)/src

# What the library calls in itself is bound when it is linked, where the linker can do
# that, and not again in each session that loads it.
BIND_OWN = -Wl,-Bsymbolic
SHLIB_LINK = $(if $(filter linux freebsd,$(PORTNAME)),$(BIND_OWN))

# Documentation goes to a folder of our own, laid out as here, so that links
# between pages and examples hold; PGXS would install it flat.
DOCUMENTS := $(patsubst $(srcdir)/%,%,$(wildcard $(addprefix $(srcdir)/, \
	README.md CHANGELOG.md LICENSE doc/*.md doc/*.svg doc/*.html $(addprefix examples/, \
	docker/* migrations/* online/* project/*.* project/.gitlab-ci.yml \
	project/.github/workflows/* project/migrations/* project/regress/*/* project/t/* \
	project/tests/*))))
DOCUMENT_DIRS := $(sort $(dir $(DOCUMENTS)))

# Regression tests run in the order of their names, but for those that the
# others build upon.
REGRESS_FIRST = install
REGRESS_ALL := $(sort $(notdir $(basename $(wildcard $(srcdir)/sql/*.sql))))
REGRESS := $(filter $(REGRESS_FIRST),$(REGRESS_ALL)) \
	$(filter-out $(REGRESS_FIRST),$(REGRESS_ALL))

# Isolation specs.  PostgreSQL 13 installs no isolation tester.
ifneq ($(wildcard $(dir $(PGXS))../test/isolation/pg_isolation_regress),)
ISOLATION := $(sort $(notdir $(basename $(wildcard $(srcdir)/test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=$(srcdir)/test
endif

# The regression tests include files, and cannot know where they are.
installcheck: export MIGRATE_SRCDIR = $(abspath $(srcdir))

# pg_regress leaves these where it is run.
EXTRA_CLEAN = results output_iso regression.diffs regression.out tmp_check tmp_check_iso

ifneq ($(PGXS),)
include $(PGXS)

# Debian's client package brings PGXS too: without the server's headers say so,
# in place of the compiler.
INCLUDEDIR_SERVER := $(shell $(PG_CONFIG) --includedir-server)
ifeq ($(wildcard $(INCLUDEDIR_SERVER)/postgres.h),)
$(OBJS): no-headers
.PHONY: no-headers
no-headers:
	@echo "$(INCLUDEDIR_SERVER) has no postgres.h: install the server's development files" \
		"(Debian: postgresql-server-dev-$(MAJORVERSION)) or give PG_CONFIG=/path/to/pg_config" >&2
	@exit 1
endif

install: install-documents
uninstall: uninstall-documents uninstall-scripts
.PHONY: install-documents uninstall-documents uninstall-scripts
DOCUMENTS_TO = $(DESTDIR)$(docdir)/extension/$(EXTENSION)
documents_in = $(strip $(foreach file,$(DOCUMENTS),$(if $(filter $(1),$(dir $(file))),$(file))))
install-documents:
	$(MKDIR_P) $(foreach dir,$(DOCUMENT_DIRS),'$(DOCUMENTS_TO)/$(dir)')
	$(foreach dir,$(DOCUMENT_DIRS),$(INSTALL_DATA) \
		$(addprefix $(srcdir)/,$(call documents_in,$(dir))) '$(DOCUMENTS_TO)/$(dir)' &&) :
uninstall-documents:
	rm -rf '$(DOCUMENTS_TO)'
# PGXS looks for them by the names that they have here.
uninstall-scripts:
	rm -f $(addprefix '$(DESTDIR)$(bindir)'/,$(notdir $(SCRIPTS)))
else
# The targets below install what is missing; these cannot work without.
all install uninstall installcheck clean:
	@echo "$(PG_CONFIG) finds no PGXS: install the server's development files" \
		"(Debian: postgresql-server-dev-15) or give PG_CONFIG=/path/to/pg_config" >&2; exit 1
endif

# What clients need, on machines that may have no server and no pg_config:
#	make install-client prefix=/usr/local
CLIENT_TO = $(DESTDIR)$(if $(findstring command,$(origin prefix)),$(prefix),/usr/local)/bin
.PHONY: install-client uninstall-client
install-client:
	mkdir -p '$(CLIENT_TO)'
	install -m 755 $(addprefix $(srcdir)/,$(SCRIPTS)) '$(CLIENT_TO)/'
uninstall-client:
	rm -f $(addprefix '$(CLIENT_TO)'/,$(notdir $(SCRIPTS)))

# Every object depends on every header: there are few, and this is right in
# all builds, with bitcode and without.
HEADERS := $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)
BITCODE := $(OBJS:.o=.bc)
$(OBJS) $(BITCODE): $(HEADERS) $(srcdir)/Makefile

# A VPATH build has to make the folders.  The names are absolute, else make
# would find those of the sources.
OBJDIRS := $(addprefix $(CURDIR)/,$(sort $(patsubst %/,%,$(dir $(OBJS)))))
$(OBJS) $(BITCODE): | $(OBJDIRS)
$(OBJDIRS):
	$(MKDIR_P) '$@'

# The rest is done by scripts; each says what it does at its top.
TOOLS = $(srcdir)/test/tools
TOOLS_ENV = PG_CONFIG='$(PG_CONFIG)' MAKE='$(MAKE)' MAKEFLAGS= MAKELEVEL=

# What run_tests asks for.
print-%:
	@echo $($*)

.PHONY: quickstart quickstart-stop test test-neighbours test-applications fuzz bench
.PHONY: test-schemas test-autogenerate test-versions test-fresh check-sources dist

quickstart:
	@$(TOOLS_ENV) $(TOOLS)/quickstart

quickstart-stop:
	@$(TOOLS)/quickstart stop

# TESTS="install test/t/files.t" for some of them
test:
	@$(TOOLS_ENV) $(TOOLS)/run_tests $(TESTS)

# The same beside other extensions; RUNS="habits real stepwise" for some of them
test-neighbours:
	@$(TOOLS_ENV) $(TOOLS)/neighbours $(RUNS)

# compare() and schema_sql() on the schemas of the shared data, judged by pg_dump;
# CASES="a pattern" for some of them
test-schemas:
	@$(TOOLS_ENV) $(TOOLS)/schemas schemas $(if $(CASES),"$(CASES)")

# Scripts that migrate generates for the pairs of schemas of the shared data, both ways,
# judged by pg_dump; CASES="a pattern" or "0/25" for some of them
test-autogenerate:
	@$(TOOLS_ENV) $(TOOLS)/schemas autogenerate $(if $(CASES),"$(CASES)")

# The pages about applications and containers, with the languages' clients, which it
# fetches; APPLICATIONS="test/t/app_go.t" for some of them
test-applications:
	@$(TOOLS_ENV) $(TOOLS)/applications $(APPLICATIONS)

# FUZZ_SECONDS=600 for longer
fuzz:
	@$(TOOLS_ENV) $(srcdir)/test/fuzz/run $(FUZZ_TARGETS)

bench:
	@$(TOOLS_ENV) $(TOOLS)/bench $(PARTS)

# VERSIONS="13 19" for some of them
test-versions:
	@$(TOOLS)/versions $(if $(ROOTS)$(VERSIONS),$(or $(ROOTS),$${TMPDIR:-/var/tmp}/migrate-roots) $(VERSIONS))

# CASES="bare sudo" for some of them
test-fresh:
	@$(TOOLS)/fresh $(if $(ROOTS)$(CASES),$(or $(ROOTS),$${TMPDIR:-/var/tmp}/migrate-fresh) $(CASES))

check-sources:
	@perl $(TOOLS)/check_sources

# The archive for PGXN, of what is committed.
DISTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(srcdir)/migrate.control).0
dist:
	git -C $(srcdir) archive --format zip --prefix=migrate-$(DISTVERSION)/ -o '$(CURDIR)/migrate-$(DISTVERSION).zip' HEAD
