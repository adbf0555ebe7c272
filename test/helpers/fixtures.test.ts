/** What tests compare with is what was really there (nbd-migration, L14): the files against plain arithmetic. */
import { readFileSync, statSync } from 'node:fs';
import test from 'ava';
import { noise, pattern } from './bytes.ts';
import { testSource } from './mirror.ts';
import { mib, newImage } from './nbd.ts';
import { imageFile } from './nbd-process.ts';
import { servedSource } from './served-source.ts';

test('L14: a pattern is the same each time, another for each seed, and hardly ever zero', (t) => {
  const bytes = pattern(70_000, 3);
  t.is(bytes.length, 70_000);
  for (const at of [0, 1, 255, 256, 69_999])
    t.is(bytes[at], (at * 31 + Math.floor(at / 256) * 7 + 303) % 256, `${at}`);
  t.true(pattern(70_000, 3).equals(bytes));
  t.false(pattern(70_000, 4).equals(bytes));
  t.true(noise(5000, 1).equals(noise(5000, 1)));
  t.false(noise(5000, 1).equals(noise(5000, 2)));
  for (const made of [bytes, noise(70_000, 1)])
    t.true(made.filter((byte) => byte === 0).length < made.length / 100);
});

test('L14: files hold data where data was asked for, and holes and zeroes read as such', async (t) => {
  const data = noise(4096, 1);
  const paths = [imageFile(t, mib, [[65_536, data]]), (await newImage(t, mib, [[65_536, data]])).path];
  for (const path of paths) {
    const bytes = readFileSync(path);
    t.is(bytes.length, mib);
    t.true(bytes.subarray(65_536, 69_632).equals(data));
    t.is(bytes.filter((byte) => byte !== 0).length, data.filter((byte) => byte !== 0).length);
    t.true(statSync(path).blocks * 512 < mib / 2, 'the rest is a hole');
  }
});

test('L14: a migration’s source keeps count of what lies in its file: data, holes, and what is written', async (t) => {
  for (const holes of [false, true]) {
    const source = await testSource(t, mib, { holes });
    t.true(source.bytes.equals(readFileSync(source.path)));
    t.is(
      source.bytes.subarray(mib / 2).every((byte) => byte === 0),
      holes,
    );
    t.is(statSync(source.path).blocks * 512 < mib, holes);
    // every sector is another one
    const sectors = Array.from({ length: 1024 }, (_, n) =>
      source.bytes.toString('latin1', n * 512, n * 512 + 512),
    );
    t.is(new Set(sectors).size, 1024);
    await source.write(1000, noise(5000, 2));
    await source.write(mib - 512, Buffer.alloc(512));
    t.true(source.bytes.equals(readFileSync(source.path)));
    t.true(source.bytes.subarray(1000, 6000).equals(noise(5000, 2)));
  }
  const served = await servedSource(t, mib);
  t.true(readFileSync(served.path).equals(pattern(mib, 5)));
});
