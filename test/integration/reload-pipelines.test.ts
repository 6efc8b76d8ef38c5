import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { certificates, hasOpenssl, pem } from '../support/certificates.ts';
import { chance } from '../support/chance.ts';
import { type HecServer, startHecServer } from '../support/hec-server.ts';
import { startProgram } from '../support/program.ts';
import { change, read, stop } from '../support/reload.ts';
import { idOf, key, runs } from '../support/runs.ts';
import { type TcpServer, tcpServer } from '../support/tcp-server.ts';

const { configure, directory } = runs();

type Simulator = Awaited<ReturnType<typeof startSimulator>>;

const hecSink = (name: string, { url, token }: HecServer, more = '') =>
  `{ name: ${name}, type: splunk-hec, url: "${url}", token: "${token}"${more} }`;
const idsOf = ({ events }: HecServer) => events.map(({ raw }) => idOf(String(raw)));
const expected = ({ generated }: Simulator) => (generated?.page(0n, 1_000_000) ?? []).map(idOf);

describe('SIGHUP restarts only the pipelines that changed:', () => {
  it('the others keep connection, channel and batches in flight, and the changed one doubles nothing', async () => {
    await using simulator = await startSimulator({ events: 1_000, rate: 300, key });
    await using plain = await tcpServer();
    await using steady = await startHecServer({ tokenState: 'ack', ackAfter: 1 });
    await using changing = await startHecServer({ tokenState: 'ack', ackAfter: 1 });
    const sinks = [
      `{ name: plain, type: syslog, address: "tcp://127.0.0.1:${plain.port}" }`,
      hecSink('steady', steady, ', acknowledgement: true'),
      hecSink('changing', changing, ', acknowledgement: true, index: index0'),
    ];
    const { file } = configure(simulator.url, { sinks });
    const program = startProgram(['run', '-c', file]);
    for (let turn = 1; turn <= 4; turn++) {
      await changing.until(() => changing.events.at(-1)?.index === `index${turn - 1}`);
      const inFlight = changing.requests.filter(({ kind, confirmed }) => kind === 'data' && !confirmed).length;
      await change(program, file, read(file).replace(/index\d/, `index${turn}`));
      if (turn === 1) expect(inFlight).toBeGreaterThan(0);
    }
    await changing.until(() => changing.events.at(-1)?.index === 'index4');
    const then = steady.count;
    await steady.until(() => steady.count > then + 300);
    // A stop half-closes the connection, and may send again what a busy machine did not confirm in time.
    expect(connectionsOf(plain)).toBe(1);
    await stop(program);

    expect(program.stderr()).toContain('restarted: changing; unchanged: plain, steady');
    expect(new Set(steady.requests.filter(({ kind }) => kind === 'data').map(({ channel }) => channel)).size).toBe(1);
    expect(new Set(changing.requests.filter(({ kind }) => kind === 'data').map(({ channel }) => channel)).size).toBe(5);
    for (const hec of [steady, changing]) {
      const ids = idsOf(hec);
      expect(ids).toEqual(expected(simulator).slice(0, ids.length));
      expect(ids.length).toBeGreaterThan(1_300);
    }
  });

  it('another source, schedule or shutdown timeout restarts none', async () => {
    await using simulator = await startSimulator({ events: 500, rate: 300, key });
    await using plain = await tcpServer();
    await using hec = await startHecServer({ tokenState: 'ack' });
    const sinks = [
      `{ name: plain, type: syslog, address: "tcp://127.0.0.1:${plain.port}" }`,
      hecSink('splunk', hec, ', acknowledgement: true'),
    ];
    const { file } = configure(simulator.url, { sinks });
    const program = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > 500);
    await change(program, file, read(file).replace('requestsPerSecond: 20', 'timeout: 20s, requestsPerSecond: 15'));
    await change(program, file, read(file).replace('"* * * * * *"', '"*/2 * * * * *"'));
    await change(program, file, `${read(file)}shutdownTimeout: 5s\n`);
    await change(program, file, read(file).replace('"*/2 * * * * *"', '"* * * * * *", startAt: now'));
    const then = hec.count;
    await hec.until(() => hec.count > then + 600);
    await stop(program);
    expect(program.stderr().match(/unchanged: plain, splunk/g)).toHaveLength(4);
    expect(connectionsOf(plain)).toBe(1);
    expect(new Set(hec.requests.filter(({ kind }) => kind === 'data').map(({ channel }) => channel)).size).toBe(1);
    const ids = idsOf(hec);
    expect(ids).toEqual(expected(simulator).slice(0, ids.length));
  });

  it('a rotated key is used while the API rejects the old one, and no pipeline restarts', async () => {
    await using simulator = await startSimulator({ events: 20, key: 'SIEM-LOG-ONLY-new' });
    await using hec = await startHecServer();
    const { file } = configure(simulator.url, {
      apiKey: 'apiKey: SIEM-LOG-ONLY-old',
      source: 'onKeyRejected: wait',
      sinks: [hecSink('splunk', hec)],
    });
    const program = startProgram(['run', '-c', file]);
    await program.until((stderr) => stderr.includes('source.refused'));
    await change(program, file, read(file).replace('SIEM-LOG-ONLY-old', 'SIEM-LOG-ONLY-new'));
    await hec.until(() => hec.count === 20);
    await stop(program);
    expect(program.stderr()).toContain('unchanged: splunk');
  });

  it.skipIf(!hasOpenssl)('certificates and secrets change together or not at all', async () => {
    using authority = certificates();
    const server = authority.certificate('collector');
    const [old, renewed] = [authority.certificate('old'), authority.certificate('renewed')];
    const at = (name: string) => join(directory, name);
    copyFileSync(old.cert, at('client.pem'));
    copyFileSync(old.key, at('client.key'));
    writeFileSync(at('token'), 'old-token-0123', { mode: 0o600 });
    await using simulator = await startSimulator({ events: 100, rate: 200, key });
    await using hec = await startHecServer({
      token: 'old-token-0123',
      tls: { key: pem(server.key), cert: pem(server.cert), ca: pem(authority.ca), requestCert: true },
    });
    const tls = `{ caFile: "${authority.ca}", certFile: "${at('client.pem')}", keyFile: "${at('client.key')}" }`;
    const { file } = configure(simulator.url, {
      sinks: [`{ name: splunk, type: splunk-hec, url: "${hec.url}", tokenFile: "${at('token')}", tls: ${tls} }`],
    });
    const program = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > 100);
    const shown = (from: number) =>
      new Set(hec.requests.slice(from).map(({ client, headers }) => `${client} ${headers.authorization}`));

    writeFileSync(at('token'), 'new-token-4567');
    copyFileSync(renewed.cert, at('client.pem'));
    program.child.kill('SIGHUP');
    await program.until((stderr) => /the old configuration stays: .*does not match the certificate/.test(stderr));
    const halfway = hec.requests.length;
    await hec.until(() => hec.requests.length > halfway + 3);
    expect(shown(0)).toEqual(new Set(['old Splunk old-token-0123']));

    hec.renew('new-token-4567');
    copyFileSync(renewed.key, at('client.key'));
    program.child.kill('SIGHUP');
    await program.until((stderr) => stderr.includes('restarted: splunk'));
    await hec.until(() => hec.requests.at(-1)?.client === 'renewed' && hec.requests.at(-1)?.status === 200);
    const after = hec.requests.length;
    await hec.until(() => hec.requests.length > after + 3);
    await stop(program);
    expect(shown(after)).toEqual(new Set(['renewed Splunk new-token-4567']));
    const ids = idsOf(hec);
    expect(ids).toEqual(expected(simulator).slice(0, ids.length));
  });

  it('changes in quick succession lose and double nothing', async () => {
    await using simulator = await startSimulator({ events: 500, rate: 300, key });
    await using first = await startHecServer();
    await using second = await startHecServer();
    await using third = await startHecServer({ tokenState: 'ack' });
    const { file } = configure(simulator.url, { sinks: [hecSink('first', first)] });
    const head = read(file).split('sinks:')[0] ?? '';
    const random = chance(11);
    const some = <T>(...of: T[]) => of[Math.floor(random() * of.length)] as T;
    const sinksNow = () =>
      [
        hecSink('first', first, some('', ', index: a', ', compression: none')),
        ...some([hecSink('second', second, some('', ', index: b'))], []),
        hecSink('third', third, some('', ', index: a')),
      ].map((sink) => `  - ${sink}\n`);
    const program = startProgram(['run', '-c', file]);
    await first.until(() => first.count > 500);
    for (let turn = 0; turn < 40; turn++) {
      const source = some(head, head.replace('requestsPerSecond: 20', 'requestsPerSecond: 19'));
      writeFileSync(file, `${source}sinks:\n${sinksNow().join('')}`);
      program.child.kill('SIGHUP');
      const now = first.requests.length;
      await first.until(() => first.requests.length > now || third.requests.length > now);
    }
    await change(
      program,
      file,
      `${head}sinks:\n${[first, second, third].map((hec, at) => `  - ${hecSink(['first', 'second', 'third'][at] ?? '', hec)}\n`).join('')}`,
    );
    const last = expected(simulator).at(-1) ?? 0;
    for (const hec of [first, second, third]) await hec.until(() => (idsOf(hec).at(-1) ?? 0) >= last);
    await stop(program);
    for (const hec of [first, second, third]) {
      const ids = idsOf(hec);
      expect(ids).toEqual(expected(simulator).slice(0, ids.length));
    }
  });
});

/** Connections that carried something: the connection that proves the last answer carries nothing. */
const connectionsOf = ({ received }: TcpServer) => received.filter((pieces) => pieces.length > 0).length;
