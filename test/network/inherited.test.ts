import test from 'ava';
import { inheritedSockets } from '../../lib/network/inherited.ts';

test('sockets are taken over when they are for this process, from descriptor 3 on', (t) => {
  t.deepEqual(inheritedSockets({ LISTEN_PID: '7', LISTEN_FDS: '2' }, 7), [{ fd: 3 }, { fd: 4 }]);
  for (const env of [
    {},
    { LISTEN_FDS: '1' },
    { LISTEN_PID: '8', LISTEN_FDS: '1' },
    { LISTEN_PID: '7', LISTEN_FDS: '-1' },
    { LISTEN_PID: '7', LISTEN_FDS: 'many' },
    { LISTEN_PID: '7', LISTEN_FDS: '99999' },
  ])
    t.deepEqual(inheritedSockets(env, 7), [], JSON.stringify(env));
});
