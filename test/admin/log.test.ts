import { PassThrough, Writable } from 'node:stream';
import test from 'ava';
import { openLog } from '../../lib/admin/log.ts';
import { tell } from '../../lib/telemetry.ts';

// Telemetry is of the whole process: these tests run one after the other.
const serial = test.serial;

function sink(): { stream: PassThrough; lines: () => string[] } {
  const stream = new PassThrough();
  let words = '';
  stream.on('data', (bytes: Buffer) => {
    words += bytes.toString();
  });
  return { stream, lines: () => words.split('\n').slice(0, -1) };
}

serial('text: one line with time, level, event, sentence and the facts it does not name', (t) => {
  const { stream, lines } = sink();
  const log = openLog({ stream, format: 'text', level: 'info' });
  t.teardown(() => log.close());
  tell('info', 'relay:session', 'session s1 opened', { name: 's1', host: 'my vm', id: 7n, gone: undefined });
  t.is(lines().length, 1);
  t.regex(
    lines()[0] ?? '',
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info {2}relay:session: session s1 opened \(host="my vm", id=7\)$/,
  );
});

serial('text: what strangers send cannot forge a line', (t) => {
  const { stream, lines } = sink();
  const log = openLog({ stream, format: 'text', level: 'info' });
  t.teardown(() => log.close());
  tell('warn', 'relay:refused', 'bad name a\nb', { name: 'x\x1b[2J\n' }, 'MR_ERR_DISK_NAME');
  t.is(lines().length, 1);
  t.regex(lines()[0] ?? '', /bad name a\\x0ab \(name=x\\x1b\[2J\\x0a, MR_ERR_DISK_NAME\)$/);
});

serial('json: one object a line, bigint as string', (t) => {
  const { stream, lines } = sink();
  const log = openLog({ stream, format: 'json', level: 'info' });
  t.teardown(() => log.close());
  tell('error', 'disk:lost', 'lost', { packets: 3n, path: 'a\nb' }, 'MR_ERR_DISK_FULL');
  const { time, ...rest } = JSON.parse(lines()[0] ?? '') as Record<string, unknown>;
  t.regex(String(time), /^\d{4}-\d\d-\d\dT.*Z$/);
  t.deepEqual(rest, {
    level: 'error',
    event: 'disk:lost',
    text: 'lost',
    facts: { packets: '3', path: 'a\nb' },
    code: 'MR_ERR_DISK_FULL',
  });
});

serial('only the level asked for and graver is written, and the level can change', (t) => {
  const { stream, lines } = sink();
  const log = openLog({ stream, format: 'text', level: 'info' });
  t.teardown(() => log.close());
  tell('debug', 'a:b', 'no');
  log.level = 'debug';
  tell('trace', 'a:b', 'no');
  tell('debug', 'a:b', 'yes');
  t.is(lines().length, 1);
});

serial('trouble of one kind is cut to a burst, then counted once its window is over', async (t) => {
  const { stream, lines } = sink();
  const log = openLog({ stream, format: 'text', level: 'info', burst: 2, windowMs: 20 });
  t.teardown(() => log.close());
  for (let n = 1; n <= 5; n++) tell('warn', 'a:b', `trouble ${n}`);
  tell('warn', 'a:other', 'different');
  t.is(lines().length, 3);
  await new Promise((resolve) => {
    stream.once('data', resolve);
    setTimeout(resolve, 5000);
  });
  t.regex(lines()[3] ?? '', /trouble 5 \(the last of 3 more like it\)$/);
  tell('warn', 'a:b', 'trouble 6');
  t.regex(lines()[4] ?? '', /trouble 6$/, 'a new window has begun');
});

serial('counts still owed are written when the log is closed, and nothing after', (t) => {
  const { stream, lines } = sink();
  const log = openLog({ stream, format: 'text', level: 'info', burst: 1 });
  tell('warn', 'a:b', 'one');
  tell('warn', 'a:b', 'two');
  log.close();
  tell('warn', 'a:b', 'three');
  t.is(lines().length, 2);
  t.regex(lines()[1] ?? '', /two \(the last of 1 more like it\)$/);
});

serial('a stream that is not drained loses lines, counted, instead of memory', (t) => {
  const pending: Array<() => void> = [];
  let words = '';
  const stream = new Writable({
    highWaterMark: 64,
    write(bytes: Buffer, _, done) {
      words += bytes.toString();
      pending.push(done);
    },
  });
  const log = openLog({ stream, format: 'text', level: 'info' });
  for (let n = 0; n < 1000; n++) tell('info', 'a:b', `line ${n}`);
  t.true(stream.writableLength < 1000);
  const drained = new Promise((resolve) => stream.once('drain', resolve));
  const flow = (): void => {
    for (let done = pending.shift(); done !== undefined; done = pending.shift()) done();
    if (stream.writableLength > 0) setImmediate(flow);
  };
  flow();
  return drained.then(async () => {
    tell('info', 'a:b', 'after');
    while (!words.includes('after')) {
      flow();
      await new Promise(setImmediate);
    }
    t.regex(words, /log lines were dropped, the reader of the log is too slow \(lines=99\d\)/);
    log.close();
  });
});

serial('a stream that fails is given up', (t) => {
  const stream = new PassThrough();
  const log = openLog({ stream, format: 'text', level: 'info' });
  t.teardown(() => log.close());
  stream.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
  t.notThrows(() => tell('info', 'a:b', 'nobody hears'));
});
