import test from 'ava';
import type { Export } from '../../../lib/nbd/export.ts';
import { ExportTable } from '../../../lib/nbd/server/export-table.ts';

const named = (name: string): Export => ({ name }) as Export;

test('the empty name finds the export without a name, or else the first', (t) => {
  const [a, none, b] = [named('a'), named(''), named('b')];
  t.is(new ExportTable([a, none, b]).find(''), none);
  t.is(new ExportTable([a, b]).find(''), a);
  t.is(new ExportTable([a, b]).find('b'), b);
  t.is(new ExportTable([a, b]).find('c'), undefined);
  t.is(new ExportTable([]).find(''), undefined);
});

test('what is withheld is not offered, and is again; the others are', (t) => {
  const [a, b] = [named('a'), named('b')];
  const table = new ExportTable([a, b]);
  table.withhold(b);
  t.deepEqual(table.offered, [a]);
  t.deepEqual(table.all, [a, b]);
  t.is(table.find('b'), undefined);
  t.true(table.isWithheld('b'));
  t.false(table.isWithheld('a'));
  t.false(table.isWithheld('c'));
  t.false(table.offers(b));
  table.offer(b);
  t.is(table.find('b'), b);
});

test('no other export takes the place of the default that is withheld or gone', (t) => {
  const [a, b] = [named('a'), named('b')];
  const table = new ExportTable([a, b]);
  table.withhold(a);
  t.is(table.find(''), undefined);
  t.true(table.isWithheld(''));
  table.drop(a);
  t.is(table.find(''), undefined);
  t.is(table.find('a'), undefined);
  t.false(table.isWithheld(''));
  t.deepEqual(table.all, [b]);
  table.drop(a);
  t.is(table.find('b'), b);
});
