// SPDX-License-Identifier: LGPL-2.1-or-later
/* Names of nodes; the rules are in node_name.h. */
#include "node_name.h"

#include "tls.h"

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

const char *node_name_fault(const char *name)
{
	size_t len = strlen(name);

	if (!len)
		return "it is empty";
	for (size_t i = 0; i < len; i++)
		if (!plain(name[i]) && name[i] != '-')
			return "only a-z, 0-9 and '-' may be in it";
	if (len > NODE_NAME_MAX)
		return "it is longer than 63 characters";
	if (name[0] == '-' || name[len - 1] == '-')
		return "it may not begin or end with '-'";
	return "";
}

int node_name_check(const char *name, struct failure *f)
{
	const char *fault = node_name_fault(name);
	char near[NODE_NAME_MAX + 1];

	if (!*fault)
		return 0;
	node_name_near(name, near);
	return failure_set(f, -EINVAL, "node name", near,
			   "'%.80s' is not a name: %s", name, fault);
}

void node_name_near(const char *from, char *out)
{
	size_t len = 0;

	for (; *from && *from != '.' && len < NODE_NAME_MAX; from++) {
		char c = *from;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (plain(c))
			out[len++] = c;
		else if (len && out[len - 1] != '-')
			out[len++] = '-';
	}
	while (len && out[len - 1] == '-')
		len--;
	out[len] = '\0';
	if (!len)
		strcpy(out, "node");
}
