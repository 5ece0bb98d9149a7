// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Has the kernel of a node checksum standard input, up to 64 KiB, with the sample
 * module virgo_checksum:
 *
 *	checksum NODE < FILE
 */
#include <stdio.h>

#include <virgo.h>

int main(int argc, char **argv)
{
	static unsigned char data[VIRGO_CALL_MAX];
	unsigned char sum[4];
	size_t len;

	if (argc != 2) {
		fprintf(stderr, "usage: checksum NODE < FILE\n");
		return 2;
	}
	len = fread(data, 1, sizeof(data), stdin);
	if (virgo_call(argv[1], "checksum", data, len, sum, sizeof(sum),
		       10000) != sizeof(sum)) {
		fprintf(stderr, "checksum: %s\n", virgo_strerror());
		return 1;
	}
	printf("%02x%02x%02x%02x\n", sum[3], sum[2], sum[1], sum[0]);
	return 0;
}
