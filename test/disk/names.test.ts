import test from 'ava';
import { checkComponent, checkPath, checkVisible } from '../../lib/disk/names.ts';

const bad = { code: 'MR_ERR_DISK_NAME' };

test('names: a component is one name and nothing else', (t) => {
  for (const name of [
    '',
    '.',
    '..',
    'a/b',
    '/a',
    'a\0b',
    '.millrace',
    '.millrace-1.tmp',
    'x'.repeat(256),
    'é'.repeat(128),
  ])
    t.throws(() => checkComponent('name', name), bad, JSON.stringify(name));
  for (const name of ['a', '.hidden', '..a', 'channel0_0', 'é'.repeat(127), 'x'.repeat(255)])
    t.is(checkComponent('name', name), name);
});

test('names: hosts and sessions do not begin with a dot', (t) => {
  t.throws(() => checkVisible('host name', '.host'), bad);
  t.is(checkVisible('host name', 'host.example'), 'host.example');
});

test('names: a path never leaves its directory', (t) => {
  for (const path of ['..', '../x', 'x/..', 'x/../y', '/..', 'x/\0/y', 'x/.millrace/y'])
    t.throws(() => checkPath('path', path), bad, path);
  t.deepEqual(checkPath('path', '/host//s1/./ust/'), ['host', 's1', 'ust']);
  t.deepEqual(checkPath('path', ''), []);
  t.throws(() => checkPath('path', '', 1), bad);
});
