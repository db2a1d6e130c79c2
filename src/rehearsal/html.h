/*
 * html.h
 *		Texts as HTML.
 */
#ifndef MIG_HTML_H
#define MIG_HTML_H

#include "migrate.h"

#include "lib/stringinfo.h"

extern void mig_html_append(StringInfo page, const char *text);
extern char *mig_html_bytes(double bytes);
extern char *mig_html_time(int64 microseconds);

#endif							/* MIG_HTML_H */
