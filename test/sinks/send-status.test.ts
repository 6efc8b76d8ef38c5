import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { StatusRecord } from '../../src/event/status-record.ts';
import { openStdout } from '../../src/sinks/stdout.ts';
import { openSyslog } from '../../src/sinks/syslog/definition.ts';
import { acknowledging, alive, collector } from '../support/hec-sink.ts';
import { parse5424 } from '../support/rfc5424.ts';
import { batchOf, textOf } from '../support/sink-parts.ts';
import { encoded, eventOf, options, sinkDeps } from '../support/syslog.ts';
import { tcpServer } from '../support/tcp-server.ts';

const note: StatusRecord = {
  event: 'forwarder.heartbeat',
  atMs: Date.UTC(2026, 0, 1, 12, 0, 0, 7),
  members: { sequence: 3, detail: 'a "quote" ] and \u2028' },
};
const body = {
  forwarder: {
    event: 'forwarder.heartbeat',
    at: '2026-01-01T12:00:00.007Z',
    sequence: 3,
    detail: note.members['detail'],
  },
};

describe('a status record', () => {
  it('is a separate line on stdout, also while a batch is being written', async () => {
    const out = new PassThrough({ highWaterMark: 1 });
    const sink = openStdout(out);
    const both = Promise.all([sink.send(batchOf(1, 2), alive), sink.sendStatus(note, alive)]);
    let text = '';
    out.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    expect(await both).toEqual([{ kind: 'accepted' }, { kind: 'accepted' }]);
    const lines = text.split('\n');
    expect(lines.slice(0, 2)).toEqual([textOf(1), textOf(2)]);
    expect(JSON.parse(lines[2] ?? '')).toEqual(body);
  });

  it('has its own sourcetype and time in Splunk, and the sink’s index', async () => {
    await using at = await collector({ options: { index: 'security', compression: 'none' } });
    expect(await at.sink.sendStatus(note, alive)).toEqual({ kind: 'accepted' });
    const [event] = at.hec.events;
    expect(JSON.parse(String(event?.raw))).toEqual(body);
    expect(event).toMatchObject({
      sourcetype: 'qasphere:forwarder',
      time: 1_767_268_800.007,
      index: 'security',
      source: 'qasphere-siem-forwarder',
      host: 'acme.eu1.qasphere.com',
    });
  });

  it('does not wait for an indexer, and leaves batches that do alone', async () => {
    await using at = await acknowledging();
    const sent = await at.sink.send(batchOf(1), alive);
    expect(await at.sink.sendStatus(note, alive)).toEqual({ kind: 'accepted' });
    const [first, second] = at.hec.requests;
    expect(second?.channel).toBeDefined();
    expect(second?.channel).not.toBe(first?.channel);
    expect(sent.kind === 'sent' && (await sent.confirmed)).toEqual({ kind: 'accepted' });
  });

  it('is a syslog message whose MSGID names it, after the batch that is being sent', async () => {
    await using server = await tcpServer();
    const sink = openSyslog(options({ address: `tcp://127.0.0.1:${server.port}`, framing: 'newline' }), sinkDeps());
    const records = [encoded(eventOf({ id: 1, action: 'user.login' }))];
    const verdicts = await Promise.all([sink.send({ records }, alive), sink.sendStatus(note, alive)]);
    expect(verdicts.map(({ kind }) => kind)).toEqual(['sent', 'sent']);
    await server.until(() => server.text().split('\n').length === 3);
    expect(server.sockets).toHaveLength(1);
    const [record, own] = server.text().split('\n').slice(0, 2).map(parse5424);
    expect(record?.msgid).toBe('user.login');
    expect(own).toMatchObject({
      msgid: 'forwarder.heartbeat',
      severity: 6,
      time: '2026-01-01T12:00:00.007Z',
      sd: { tenant: 'acme.eu1.qasphere.com' },
    });
    expect(JSON.parse(own?.msg ?? '')).toEqual(body);
    await sink[Symbol.asyncDispose]();
  });

  it('is recognised by its JSON if the message has no MSGID', async () => {
    await using server = await tcpServer();
    const given = { address: `tcp://127.0.0.1:${server.port}`, framing: 'newline', rfc: 3164 };
    const sink = openSyslog(options(given), sinkDeps());
    await sink.sendStatus({ ...note, event: 'forwarder.interrupted' }, alive);
    await server.until(() => server.text().endsWith('\n'));
    expect(server.text()).toMatch(
      /^<108>Jan {2}1 12:00:00 acme\.eu1\.qasphere\.com qasphere: \{"forwarder":\{"event":"forwarder\.interrupted"/,
    );
    await sink[Symbol.asyncDispose]();
  });
});
