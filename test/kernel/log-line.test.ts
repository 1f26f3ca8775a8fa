import { describe, expect, test } from '@jest/globals';
import { renderLogJson, renderLogText, type LogLine } from '../../src/kernel/log-line.ts';

const line: LogLine = {
  level: 'warn',
  time: '2026-11-22T15:54:50.865Z',
  name: 'agent',
  message: 'two\nlines',
  fields: { empty: '', plain: 'x', spaced: 'a "b"', assigned: 'k=v', count: 3, off: false, none: null },
};

describe('a line of the log', () => {
  test('is one line of text, with facts quoted where they could be misread', () => {
    expect(renderLogText(line)).toBe(
      '2026-11-22T15:54:50.865Z [WARN]  agent: two lines: empty="" plain=x spaced="a \\"b\\"" assigned="k=v" count=3 off=false none=null',
    );
  });

  test('ends with its message when there are no facts', () => {
    expect(renderLogText({ ...line, level: 'error', fields: {} })).toBe(
      '2026-11-22T15:54:50.865Z [ERROR] agent: two lines',
    );
  });

  test('is JSON with the names that Consul gives its own fields', () => {
    expect(JSON.parse(renderLogJson(line))).toEqual({
      '@level': 'warn',
      '@message': 'two\nlines',
      '@module': 'agent',
      '@timestamp': '2026-11-22T15:54:50.865000Z',
      ...line.fields,
    });
  });
});
