import { describe, expect, test } from '@jest/globals';
import { renderMembers, type Member } from '../../bin/cli/members.ts';
import { renderStats } from '../../bin/cli/info.ts';

function member(name: string, more: Partial<Member>): Member {
  const tags = { role: 'consul', build: '1.8.7:', vsn: '2', dc: 'dc1', segment: '' };
  return { Name: name, Addr: '127.0.0.1', Port: 8301, Status: 1, Tags: tags, ...more };
}

describe('members', () => {
  test('stand in the columns of consul 1.8.7, servers first', () => {
    const list = [
      member('long-name', { Tags: { role: 'node', build: '1.9.0:abc', vsn: '2', dc: 'dc1' }, Status: 4 }),
      member('b', { Addr: '::1', Status: 3 }),
      member('a', {}),
    ];
    expect(renderMembers(list, false).split('\n')).toEqual([
      'Node       Address         Status  Type    Build  Protocol  DC   Segment',
      'a          127.0.0.1:8301  alive   server  1.8.7  2         dc1  <all>',
      'b          [::1]:8301      left    server  1.8.7  2         dc1  <all>',
      'long-name  127.0.0.1:8301  failed  client  1.9.0  2         dc1  <default>',
    ]);
  });

  test('show their tags in detail, by name', () => {
    expect(renderMembers([member('a', {})], true).split('\n')).toEqual([
      'Node  Address         Status  Tags',
      'a     127.0.0.1:8301  alive   build=1.8.7:,dc=dc1,role=consul,segment=<all>,vsn=2',
    ]);
  });
});

test('facts stand in groups, both by name', () => {
  expect(renderStats({ b: { y: 1, x: 'z' }, a: {} })).toBe('a:\nb:\n\tx = z\n\ty = 1');
});
