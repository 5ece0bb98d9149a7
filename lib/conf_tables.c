// SPDX-License-Identifier: LGPL-2.1-or-later
/* The rows of virgo_cloud.conf and virgo_client.conf, made from their tables. */
#include "conf_client.h"
#include "conf_cloud.h"

#define NAME_BOOL(name) name
#define NAME_NUMBER(name) name
#define NAME_SIZE(name) name##_bytes
#define NAME_DURATION(name) name##_ms
#define NAME_CHOICE(name) name
#define NAME_PATH(name) name
#define NAME_LIST(name) name
#define NAME_ADDRESSES(name) name
#define NAME_USERS(name) name
#define NAME_NODES(name) name
#define NAME_CALLERS(name) name
#define NAME_USER(name) name

#define RANGE(low, high) .min = (low), .max = (high)
#define MOST(most) .max = (most)
#define LIMITS_BOOL() .max = 1
#define LIMITS_NUMBER RANGE
#define LIMITS_SIZE RANGE
#define LIMITS_DURATION RANGE
#define LIMITS_CHOICE(words) .choices = words
#define LIMITS_PATH() .max = 1
#define LIMITS_LIST MOST
#define LIMITS_ADDRESSES MOST
#define LIMITS_USERS MOST
#define LIMITS_NODES MOST
#define LIMITS_CALLERS MOST
#define LIMITS_USER() .max = 1

#define ROW(section_, key_, KIND, limits, standard_, help_)                    \
	{ .section = #section_,                                                \
	  .key = #key_,                                                        \
	  .kind = CONF_##KIND,                                                 \
	  LIMITS_##KIND limits,                                                \
	  .standard = standard_,                                               \
	  .help = help_,                                                       \
	  .offset = offsetof(struct VALUES, NAME_##KIND(section_##_##key_)) },
#define ROW_MAP(section_, KEYS, KIND, limits, help_)                           \
	{ .section = #section_,                                                \
	  .key = #KEYS,                                                        \
	  .kind = CONF_##KIND,                                                 \
	  .map = true,                                                         \
	  LIMITS_##KIND limits,                                                \
	  .help = help_,                                                       \
	  .offset = offsetof(struct VALUES, section_) },

#define VALUES conf_cloud
static const struct conf_row cloud_rows[] = { CONF_CLOUD(ROW, ROW_MAP) };
#undef VALUES

#define VALUES conf_client
static const struct conf_row client_rows[] = { CONF_CLIENT(ROW, ROW_MAP) };
#undef VALUES

const struct conf_schema conf_cloud_schema = {
	.file = "virgo_cloud.conf",
	.about = "this node in the cloud, and what the cloud may do here",
	.rows = cloud_rows,
	.count = ARRAY_SIZE(cloud_rows),
	.size = sizeof(struct conf_cloud),
	.legacy_section = "node",
	.legacy_key = "seeds",
};

const struct conf_schema conf_client_schema = {
	.file = "virgo_client.conf",
	.about = "what this machine mounts and borrows of the cloud",
	.rows = client_rows,
	.count = ARRAY_SIZE(client_rows),
	.size = sizeof(struct conf_client),
	.legacy_section = "run",
	.legacy_key = "nodes",
};
