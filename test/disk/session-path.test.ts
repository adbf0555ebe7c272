import test from 'ava';
import { dateOfChunk, dateOfSession, oldStreamPath, sessionPath } from '../../lib/disk/session-path.ts';
import type { SessionOpen } from '../../lib/stage/frames.ts';

process.env.TZ = 'UTC';
const createdS = 1_700_000_000n; // 2023-11-14 22:13:20 UTC

function session(change: Partial<SessionOpen> = {}): SessionOpen {
  return {
    kind: 'sessionOpen',
    session: 1,
    hostname: 'vm',
    sessionName: 's1',
    sessiondUuid: '00'.repeat(15).concat('01'),
    idSessiond: 0n,
    creationTimeS: createdS,
    nameHasCreationTime: false,
    basePath: '',
    liveTimerUs: 0,
    snapshot: false,
    minor: 13,
    traceFormat: 'ctf-1.8',
    ...change,
  };
}

test('session path: as lttng-relayd lays them out', (t) => {
  const auto = { sessionName: 'auto-20231114-221320', nameHasCreationTime: true };
  t.deepEqual(sessionPath(session(), 'host'), ['vm', 's1-20231114-221320']);
  t.deepEqual(sessionPath(session(auto), 'host'), ['vm', 'auto-20231114-221320']);
  t.deepEqual(sessionPath(session({ basePath: '/sub//dir/' }), 'host'), ['vm', 'sub', 'dir']);
  t.deepEqual(sessionPath(session(), 'session'), ['s1', 'vm-20231114-221320']);
  t.deepEqual(sessionPath(session(auto), 'session'), ['auto-20231114-221320', 'vm-20231114-221320']);
  t.deepEqual(sessionPath(session({ basePath: 'sub/dir' }), 'session'), [
    's1',
    'vm-20231114-221320',
    'sub',
    'dir',
  ]);
});

test('session path: names that lead elsewhere are refused', (t) => {
  for (const change of [
    { hostname: '../x' },
    { hostname: '.x' },
    { sessionName: 'a/b' },
    { basePath: 'x/..' },
    { sessionName: 'x'.repeat(245) },
  ])
    t.throws(() => sessionPath(session(change), 'host'), { code: 'MR_ERR_DISK_NAME' });
});

test('session path: streams of producers before 2.11 bring their own, rewritten when grouped by session', (t) => {
  const old = session({ minor: 8, sessionName: 'gsD' });
  const nowS = Number(createdS);
  const path = (text: string) => oldStreamPath(text, old, 'session', nowS).join('/');
  t.is(
    oldStreamPath('/h/gsD-20200101-000000//ust/uid/0/64-bit', old, 'host', nowS).join('/'),
    'h/gsD-20200101-000000/ust/uid/0/64-bit',
  );
  t.is(path('/h/gsD-20200101-000000//ust/x'), 'gsD/h-20200101-000000/ust/x');
  t.is(path('/h/gsD/ust/x'), 'gsD/h-20231114-221320/ust/x');
  t.is(path('/h/base/ust/x'), 'gsD/h-20231114-221320/base/ust/x');
  t.is(path('/h/gsDxyz/ust/x'), 'gsD/h/gsDxyz/ust/x');
  t.throws(() => path('/h/../../etc'), { code: 'MR_ERR_DISK_NAME' });
});

test('session path: times are local, chunk names carry the zone', (t) => {
  t.is(dateOfSession(Number(createdS)), '20231114-221320');
  t.is(dateOfChunk(Number(createdS)), '20231114T221320+0000');
});
