// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealed file handles; layout and contract are in filehandle.h. */
#include "filehandle.h"

#include <gnutls/crypto.h>

static int mac_of(const u8 *key, const void *data, size_t len, u8 out[32])
{
	return gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, FILEHANDLE_KEY, data,
				len, out) ?
		       -EIO :
		       0;
}

int filehandle_derive(const u8 node_key[FILEHANDLE_KEY], struct span volume_id,
		      u8 out[FILEHANDLE_KEY])
{
	return mac_of(node_key, volume_id.data, volume_id.len, out);
}

int filehandle_seal(const struct filehandle *h, const u8 key[FILEHANDLE_KEY],
		    u8 *out)
{
	size_t len = FILEHANDLE_HEAD + (size_t)h->len;
	u8 mac[32];

	if (h->len == 0 || h->len > FILEHANDLE_BODY_MAX)
		return -EINVAL;
	put_u64(out, h->volume);
	out[8] = h->kind;
	out[9] = h->len;
	put_u16(out + 10, 0);
	put_u32(out + 12, (u32)h->type);
	memcpy(out + FILEHANDLE_HEAD, h->body, h->len);
	if (mac_of(key, out, len, mac))
		return -EINVAL;
	memcpy(out + len, mac, FILEHANDLE_MAC);
	return (int)len + FILEHANDLE_MAC;
}

u64 filehandle_volume(struct span wire)
{
	if (wire.len < FILEHANDLE_HEAD + 1 + FILEHANDLE_MAC ||
	    wire.len > FILEHANDLE_MAX)
		return 0;
	return get_u64(wire.data);
}

int filehandle_open(struct filehandle *h, const u8 key[FILEHANDLE_KEY],
		    struct span wire)
{
	u8 mac[32];
	size_t len;

	if (!filehandle_volume(wire))
		return -ESTALE;
	len = wire.len - FILEHANDLE_MAC;
	if (mac_of(key, wire.data, len, mac) ||
	    gnutls_memcmp(mac, wire.data + len, FILEHANDLE_MAC))
		return -ESTALE;
	/* Only what we sealed gets here; a wrong length is a fault of ours. */
	if (wire.data[9] != len - FILEHANDLE_HEAD)
		return -ESTALE;
	*h = (struct filehandle){
		.volume = get_u64(wire.data),
		.kind = wire.data[8],
		.len = wire.data[9],
		.type = (s32)get_u32(wire.data + 12),
		.body = wire.data + FILEHANDLE_HEAD,
	};
	return 0;
}
