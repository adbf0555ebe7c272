import test from 'ava';
import { bytesText, progressText } from '../../cli/progress.ts';

test('progress: bytes, rate, words, and the time left where the end is known', (t) => {
  t.is(progressText({ bytes: 3 * 1024 ** 2, text: 'x' }, 2), '3.0 MiB, 1.5 MiB/s, x');
  t.is(
    progressText({ bytes: 1024, totalBytes: 4096, text: 'x' }, 1),
    '1.0 KiB of 4.0 KiB, 1.0 KiB/s, x, 3 s left',
  );
  t.is(progressText({ bytes: 0, totalBytes: 10, text: 'x' }, 0), '0 bytes of 10 bytes, 0 bytes/s, x');
  t.is(bytesText(1023), '1023 bytes');
});
