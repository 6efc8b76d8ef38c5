import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.ts';

const run = promisify(execFile);
const MAX_START_MS = 60_000;

export const user = { name: 'forwarder', password: 'obviously-fake-password' } as const;

/** One record as the console consumer of Apache Kafka shows it. */
export interface Consumed {
  readonly partition: number;
  readonly timestampMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly key: string;
  readonly value: string;
}

/** A single broker in KRaft mode on loopback. Clients reach it by a proxy that records what they send, or by SASL. */
export class KafkaBroker implements AsyncDisposable {
  /** Bytes that clients sent through the proxy, by connection. */
  readonly sent: Buffer[][] = [];
  /** The proxy closes a connection instead of passing on an answer. */
  isDropping = false;
  /** The proxy passes on nothing of what clients send from now on. */
  isStalled = false;
  readonly port: number;
  readonly saslPort: number;
  readonly #proxy: Server;
  readonly #sockets = new Set<Socket>();
  readonly #classPath: string;
  readonly #directory: string;
  #child: ChildProcess | undefined;

  static async start(classPath: string): Promise<KafkaBroker> {
    const directory = await mkdtemp(join(tmpdir(), 'kafka-'));
    const ports = await Promise.all(Array.from({ length: 4 }, freePort));
    const broker = new KafkaBroker(classPath, directory, ports);
    await once(broker.#proxy, 'listening');
    await writeFile(join(directory, 'server.properties'), properties(directory, ports));
    const scram = `SCRAM-SHA-512=[name=${user.name},password=${user.password}]`;
    const format = ['format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', join(directory, 'server.properties')];
    await broker.#java('kafka.tools.StorageTool', ...format, '--add-scram', scram);
    await broker.start();
    return broker;
  }

  private constructor(classPath: string, directory: string, [port, saslPort, , proxyPort]: readonly number[]) {
    this.#classPath = classPath;
    this.#directory = directory;
    this.port = port ?? 0;
    this.saslPort = saslPort ?? 0;
    this.#proxy = createServer((client) => this.#pass(client)).listen(proxyPort, '127.0.0.1');
  }

  /** Of the proxy, which the broker announces to clients as its own address. */
  get address(): string {
    const address = this.#proxy.address();
    return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async start(): Promise<void> {
    const args = ['-Xmx256m', '-cp', this.#classPath, 'kafka.Kafka', join(this.#directory, 'server.properties')];
    this.#child = spawn('java', args, { stdio: 'ignore' });
    const end = performance.now() + MAX_START_MS;
    while ((await this.topics().catch(() => undefined)) === undefined)
      if (performance.now() > end) throw new Error('the broker does not start');
  }

  /** SIGKILL, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async topics(): Promise<string> {
    return this.#java('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', this.address, '--list');
  }

  async createTopic(name: string, partitions = 1, ...config: string[]): Promise<void> {
    const more = config.flatMap((one) => ['--config', one]);
    const args = [
      '--create',
      '--topic',
      name,
      '--partitions',
      String(partitions),
      '--replication-factor',
      '1',
      ...more,
    ];
    await this.#java('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', this.address, ...args);
  }

  /** Everything in a topic, partition after partition in order of offset. */
  async consume(topic: string): Promise<Consumed[]> {
    const print = ['partition', 'timestamp', 'headers', 'key'].flatMap((what) => ['--property', `print.${what}=true`]);
    const args = ['--bootstrap-server', this.address, '--topic', topic, '--from-beginning', '--timeout-ms', '1200'];
    const text = await this.#java('org.apache.kafka.tools.consumer.ConsoleConsumer', ...args, ...print);
    return text
      .split('\n')
      .filter((line) => line.startsWith('CreateTime:'))
      .map((line) => {
        const [time = '', partition = '', headers = '', key = '', ...value] = line.split('\t');
        return {
          partition: Number(partition.split(':')[1]),
          timestampMs: Number(time.split(':')[1]),
          headers: Object.fromEntries(headers.split(',').map((pair) => pair.split(/:(.*)/s).slice(0, 2))),
          key,
          value: value.join('\t'),
        };
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#proxy.close();
    await once(this.#proxy, 'close');
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #pass(client: Socket): void {
    const sent: Buffer[] = [];
    this.sent.push(sent);
    this.#sockets.add(client);
    const broker = connect(this.port, '127.0.0.1');
    for (const socket of [client, broker]) {
      socket.on('error', () => {}); // the other side is gone, and closed below
      socket.on('close', () => {
        client.destroy();
        broker.destroy();
        this.#sockets.delete(client);
      });
    }
    client.on('data', (bytes: Buffer) => {
      sent.push(bytes);
      if (!this.isStalled) broker.write(bytes);
    });
    broker.on('data', (bytes: Buffer) => (this.isDropping ? client.destroy() : client.write(bytes)));
  }

  async #java(main: string, ...args: string[]): Promise<string> {
    const java = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', this.#classPath, main, ...args];
    return (await run('java', java, { maxBuffer: 256 * 1024 ** 2 })).stdout;
  }
}

const properties = (
  directory: string,
  [port, sasl, controller, proxy]: readonly number[],
) => `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://127.0.0.1:${sasl},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${proxy},SASL_PLAINTEXT://127.0.0.1:${sasl}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${user.name}="${user.password}";
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs=${directory}/logs
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
`;
