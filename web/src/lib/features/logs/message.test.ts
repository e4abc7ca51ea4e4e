import { describe, expect, it } from 'vitest';
import { readLine } from './message';

describe('readLine', () => {
  it('shows the message of a JSON line and the rest as fields', () => {
    const reading = readLine('{"time":1,"level":"INFO","msg":"hi","status":504,"ok":true,"none":null}');
    expect(reading.format).toBe('json');
    expect(reading.message).toBe('hi');
    expect(reading.rest).toEqual([
      { name: 'status', value: '504', filterable: true },
      { name: 'ok', value: 'true', filterable: true },
    ]);
    expect(reading.fields.map((f) => f.name)).toEqual(['time', 'level', 'msg', 'status', 'ok']);
  });
  it('names nested fields as LogQL does', () => {
    expect(readLine('{"http":{"status-code":504},"tags":["a"]}').fields).toEqual([
      { name: 'http_status_code', value: '504', filterable: true },
      { name: 'tags', value: '["a"]', filterable: false },
    ]);
  });
  it('takes broken JSON as plain text', () => {
    expect(readLine('{"a":1').format).toBe('plain');
    expect(readLine('[1,2]').format).toBe('plain');
  });
  it('reads logfmt pairs and leaves the line whole', () => {
    const reading = readLine('level=info msg="a \\"b\\" c" status=200');
    expect(reading.format).toBe('logfmt');
    expect(reading.message).toBe('level=info msg="a \\"b\\" c" status=200');
    expect(reading.fields.map((f) => [f.name, f.value])).toEqual([
      ['level', 'info'],
      ['msg', 'a "b" c'],
      ['status', '200'],
    ]);
  });
  it('does not take one equals sign for structure', () => {
    expect(readLine('x = y, a=b').format).toBe('plain');
  });
  it('bounds a line of thousands of fields and great depth', () => {
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i])));
    expect(readLine(wide).fields).toHaveLength(200);
    const deep = '{"a":'.repeat(50) + '1' + '}'.repeat(50);
    expect(readLine(deep).fields).toHaveLength(1);
  });
  it('keeps __proto__ a plain field', () => {
    expect(readLine('{"__proto__":{"x":1},"b":"2"}').fields.map((f) => f.name)).toEqual(['__proto___x', 'b']);
  });
});
