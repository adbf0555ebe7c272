import test from 'ava';
import { SharedSync } from '../../lib/disk/shared-sync.ts';

/** A sync whose calls are finished by hand. */
function manual() {
  const calls: { done: () => void; fail: (error: Error) => void }[] = [];
  const shared = new SharedSync(() => new Promise<void>((done, fail) => calls.push({ done, fail })));
  return { shared, calls };
}

test('a request during a sync waits for one that begins later, and shares it', async (t) => {
  const { shared, calls } = manual();
  const first = shared.request();
  const late = [shared.request(), shared.request()];
  t.is(calls.length, 1);
  calls[0]?.done();
  await first;
  await Promise.resolve();
  t.is(calls.length, 2);
  calls[1]?.done();
  await Promise.all(late);
  void shared.request();
  t.is(calls.length, 3);
});

test('a failed sync fails who waits, and everybody after it', async (t) => {
  const { shared, calls } = manual();
  const first = shared.request();
  const second = shared.request();
  calls[0]?.fail(new Error('EIO'));
  await t.throwsAsync(first, { message: 'EIO' });
  await t.throwsAsync(second, { message: 'EIO' });
  await t.throwsAsync(shared.request(), { message: 'EIO' });
  t.is(calls.length, 1);
});
