/*
 * checksum.h
 *		Checksums of scripts.
 */
#ifndef MIG_CHECKSUM_H
#define MIG_CHECKSUM_H

#include "migrate.h"

#include "lib/stringinfo.h"

extern char *mig_checksum_utf8(char *text);
extern char *mig_checksum_hex(const StringInfoData *source);

#endif							/* MIG_CHECKSUM_H */
