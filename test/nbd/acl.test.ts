import test from 'ava';
import { AccessList } from '../../lib/nbd/acl.ts';

const allows = (entries: string[], address: string | undefined, defaultDeny = false): boolean =>
  new AccessList(entries, { defaultDeny }).allows(address);

test('without entries everybody may, with default-deny nobody; with entries that plays no part', (t) => {
  t.true(allows([], '10.0.0.1'));
  t.false(allows([], '10.0.0.1', true));
  t.true(allows(['10.0.0.0/8'], '10.0.0.1', true));
  t.false(allows(['10.0.0.0/8'], '11.0.0.1'));
});

test('prefixes of both families match by leading bits; host bits below them are ignored', (t) => {
  t.true(allows(['127.0.0.3/30'], '127.0.0.1'));
  t.false(allows(['127.0.0.3/30'], '127.0.0.4'));
  t.true(allows(['192.0.2.7'], '192.0.2.7'));
  t.false(allows(['192.0.2.7'], '192.0.2.6'));
  t.true(allows(['2001:db8::/32'], '2001:db8:1::9'));
  t.false(allows(['2001:db8::/32'], '2001:db9::9'));
  t.true(allows(['::1'], '::1'));
  t.false(allows(['0.0.0.0/1'], '::1'), 'another family never matches');
});

test('F.12: an IPv4 client of a dual-stack socket is an IPv4 client', (t) => {
  t.true(allows(['127.0.0.0/8'], '::ffff:127.0.0.1'));
  t.false(allows(['127.0.0.0/8'], '::ffff:10.0.0.1'));
  t.true(allows(['fe80::/10'], 'fe80::1%eth0'));
});

test('clients of a Unix socket have no address: its mode decides', (t) => {
  t.true(allows([], undefined, true));
  t.true(allows(['10.0.0.1'], undefined));
});

test('what is no entry is refused, and quoted', (t) => {
  for (const entry of [
    '',
    'localhost',
    '10.0.0',
    '10.0.0.1/0',
    '10.0.0.1/33',
    '::1/129',
    '10.0.0.1/x',
    '1.2.3.4/',
    '::1%lo',
    '10.0.0.1/8/8',
  ])
    t.throws(() => new AccessList(['10.0.0.1', entry]), { code: 'MR_ERR_NBD_ACL' }, entry);
});
