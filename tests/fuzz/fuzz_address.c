// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists of addresses as people write them and as JOIN carries them: refused, or
 * brought into a full form that stays as it is.
 */
#include <stdint.h>
#include <stdlib.h>

#include "address.h"
#include "advertise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char full[ADVERTISED_LIST_MAX + 1], again[ADVERTISED_LIST_MAX + 1];
	struct address found[ADDRESS_MAX];
	char shown[ADDRESS_TEXT_MAX];
	char *text = malloc(size + 1);
	int i, n;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (advertised_list(text, VIRGO_PORT, full, sizeof(full), NULL) == 0) {
		if (advertised_list(full, 1, again, sizeof(again), NULL) ||
		    strcmp(full, again) != 0)
			abort();
	}
	n = address_resolve(text, VIRGO_PORT, false, found, ADDRESS_MAX);
	if (n > ADDRESS_MAX)
		abort();
	for (i = 0; i < n; i++)
		address_text((const struct sockaddr *)&found[i].sa, shown);
	free(text);
	return 0;
}
