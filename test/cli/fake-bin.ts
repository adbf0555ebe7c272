/** The program with a relay that only listens, for tests that need a process. */
import { main } from '../../cli/main.ts';
import { processContext } from '../../cli/process-context.ts';
import { fakeRelay } from './fake-relay.ts';

process.exit(
  await main({ ...processContext(), createRelay: (options) => Promise.resolve(fakeRelay(options)) }),
);
