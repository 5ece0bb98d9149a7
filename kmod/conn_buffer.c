// SPDX-License-Identifier: GPL-2.0-or-later
/* Receive buffers; see conn_buffer.h. */
#include "conn_buffer.h"

#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>

static struct kmem_cache *buffers; /* of CONN_IN_BYTES */
static DEFINE_PER_CPU(u8 *, spare);

/* Clean when made. That there is a constructor keeps the allocator, where it clears
 * what it gives (init_on_alloc, as Debian's kernels do), from doing so again at each
 * use: 16 KiB a request would be a third of a small one's cost.
 */
static void buffer_made(void *buf)
{
	memset(buf, 0, CONN_IN_BYTES);
}

int conn_buffers_init(void)
{
	buffers = kmem_cache_create("virgo_conn_in", CONN_IN_BYTES, 0, 0,
				    buffer_made);
	return buffers ? 0 : -ENOMEM;
}

void conn_buffers_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		u8 *buf = per_cpu(spare, cpu);

		if (buf)
			kmem_cache_free(buffers, buf);
	}
	kmem_cache_destroy(buffers);
}

u8 *conn_buffer_get(size_t size)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	u8 *buf;

	if (size > CONN_IN_BYTES)
		return kvmalloc(size, gfp);
	buf = this_cpu_xchg(spare, NULL);
	return buf ? buf : kmem_cache_alloc(buffers, gfp);
}

void conn_buffer_put(u8 *buf, size_t size)
{
	if (!buf)
		return;
	if (size > CONN_IN_BYTES)
		kvfree(buf);
	else if (this_cpu_cmpxchg(spare, NULL, buf))
		kmem_cache_free(buffers, buf);
}
