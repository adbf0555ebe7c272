/* The one event that test programs emit: what was sent can be told from what is read. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER millrace

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./tick.h"

#if !defined(MILLRACE_TICK_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define MILLRACE_TICK_H

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(millrace, tick,
	LTTNG_UST_TP_ARGS(unsigned long, seq, const char *, text),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(unsigned long, seq, seq)
		lttng_ust_field_string(text, text)
	)
)

/* A second name, so that two channels can be told apart. */
LTTNG_UST_TRACEPOINT_EVENT(millrace, tock,
	LTTNG_UST_TP_ARGS(unsigned long, seq),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(unsigned long, seq, seq)
	)
)

#endif

#include <lttng/tracepoint-event.h>
