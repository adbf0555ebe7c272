/*
 * A traced program that does what it is told: each line "COUNT TEXT_BYTES DELAY_US" on standard input makes it
 * emit COUNT pairs of tick and tock, numbered on from the last one; then it prints how many pairs it has emitted
 * in all. End of input ends it.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "tick.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX_BYTES 65536

static char text[TEXT_MAX_BYTES + 1];

int main(void)
{
	unsigned long seq = 0, count, text_bytes, delay_us;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("registered\n");
	while (scanf("%lu %lu %lu", &count, &text_bytes, &delay_us) == 3) {
		if (text_bytes > TEXT_MAX_BYTES)
			return 2;
		for (unsigned long end = seq + count; seq < end; seq++) {
			memset(text, 'a' + (int)(seq % 26), text_bytes);
			text[text_bytes] = 0;
			lttng_ust_tracepoint(millrace, tick, seq, text);
			lttng_ust_tracepoint(millrace, tock, seq);
			if (delay_us)
				usleep(delay_us);
		}
		printf("%lu\n", seq);
	}
	return 0;
}
