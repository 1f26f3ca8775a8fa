import { describe, expect, test } from '@jest/globals';
import {
  decodeHealthDefinition,
  healthDefinitionType,
  renderHealthDefinition,
} from '../../../compat/checks/health-definition.ts';
import { parseJson, renderJson } from '../../../compat/wire/go-json.ts';

function through(text: string): { shown: string; type: string } | { problem: string } {
  const value = parseJson(text);
  if (!value.ok) throw new Error(value.error);
  const decoded = decodeHealthDefinition(value.value);
  if (!decoded.ok) return { problem: decoded.error };
  return {
    shown: renderJson(renderHealthDefinition(decoded.value)),
    type: healthDefinitionType(decoded.value),
  };
}

describe('the definition of a catalog check', () => {
  // Requests and answers of a real 1.8.7.
  test.each([
    [
      '{"Interval":"10s","Timeout":"90s","DeregisterCriticalServiceAfter":"1h30m","HTTP":"http://x","TCP":"t","Header":{"a":["b"]},"Method":"GET","Body":"b","TLSSkipVerify":true}',
      '{"Interval":"10s","Timeout":"1m30s","DeregisterCriticalServiceAfter":"1h30m0s","HTTP":"http://x","TLSSkipVerify":true,"Header":{"a":["b"]},"Method":"GET","Body":"b","TCP":"t"}',
      'http',
    ],
    [
      '{"Interval":10000000000,"IntervalDuration":"20s","HTTP":"http://x"}',
      '{"Interval":"10s","HTTP":"http://x"}',
      'http',
    ],
    [
      '{"GRPC":"u","ScriptArgs":["x"],"Bogus":1,"http":"lc"}',
      '{"HTTP":"lc","ScriptArgs":["x"],"GRPC":"u"}',
      'script',
    ],
    ['{"Timeout":"90s"}', '{"Timeout":"1m30s"}', ''],
    ['{"Header":{},"TLSSkipVerify":false}', '{}', ''],
    ['null', '{}', ''],
  ])('%s is shown as Consul shows it', (given, shown, type) => {
    expect(through(given)).toEqual({ shown, type });
  });

  test('a duration that cannot be read is refused', () => {
    expect(through('{"Interval":"bogus"}')).toEqual({ problem: 'time: invalid duration "bogus"' });
  });
});
