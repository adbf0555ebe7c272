/** A process that serves a control socket until it is killed. */
import { serveControl } from '../../lib/network/control-socket.ts';

await serveControl(process.argv[2] as string, { who: () => 'child' });
process.send?.('ready');
