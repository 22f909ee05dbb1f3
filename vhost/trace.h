/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace.h - tracepoints of the core, in the group "shunt"
 *
 * All name the device by its number (shunt-id in fdinfo) and the queue by its
 * index (the vring index of the ioctls).
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM shunt

#if !defined(SHUNT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SHUNT_TRACE_H

#include <linux/tracepoint.h>

/* clang-format off */

/* The driver kicked; in the context of whoever wrote the eventfd. */
TRACE_EVENT(shunt_kick,
	TP_PROTO(u32 id, u32 queue),
	TP_ARGS(id, queue),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, queue)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->queue = queue;
	),
	TP_printk("id=%u queue=%u", __entry->id, __entry->queue)
);

/* Requests were returned to the driver together. */
TRACE_EVENT(shunt_batch,
	TP_PROTO(u32 id, u32 queue, u32 requests),
	TP_ARGS(id, queue, requests),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, queue)
		__field(u32, requests)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->queue = queue;
		__entry->requests = requests;
	),
	TP_printk("id=%u queue=%u requests=%u", __entry->id, __entry->queue,
		  __entry->requests)
);

/* The driver was told (sent) or did not want to be. */
TRACE_EVENT(shunt_signal,
	TP_PROTO(u32 id, u32 queue, bool sent),
	TP_ARGS(id, queue, sent),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, queue)
		__field(bool, sent)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->queue = queue;
		__entry->sent = sent;
	),
	TP_printk("id=%u queue=%u sent=%d", __entry->id, __entry->queue,
		  __entry->sent)
);

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
