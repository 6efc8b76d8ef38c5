import { createHash, createHmac } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { HttpEndpointServer, type Reaction, type ReceivedRequest } from './http-endpoint.ts';

export interface StoredObject {
  readonly key: string;
  /** Decompressed. */
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export const fakeKeys = { accessKeyId: 'AKIAOBVIOUSLYFAKE', secretAccessKey: 'obviously/fake+secret+key' } as const;

/**
 * The part of Amazon S3 that the sink uses, strict: it verifies the signature of each request (Signature Version 4), its
 * checksums, and stores an object only if there is none of that name. Path style.
 */
export class S3Server implements AsyncDisposable {
  readonly objects: StoredObject[] = [];
  /** Requests answered with 412. */
  conflicts = 0;
  fault: Reaction | undefined;
  /** After an object is stored: no answer, or a reset. */
  faultAfter: 'hang' | 'reset' | undefined;
  region = 'eu-central-1';
  bucket = 'audit';
  readonly server: HttpEndpointServer;

  static async start(): Promise<S3Server> {
    const holder: { s3?: S3Server } = {};
    const server = await HttpEndpointServer.start((request) => holder.s3?.react(request) ?? { status: 503 });
    holder.s3 = new S3Server(server);
    return holder.s3;
  }

  private constructor(server: HttpEndpointServer) {
    this.server = server;
  }

  /** Every record that is stored, object after object. */
  get records(): string[] {
    return this.objects.filter(({ key }) => key.endsWith('.gz')).flatMap(({ text }) => text.split('\n').slice(0, -1));
  }

  react(request: ReceivedRequest): Reaction {
    const { method, path, headers, bytes } = request;
    if (this.fault !== undefined) return this.fault;
    const problem = signatureProblem(request, this.region);
    if (problem !== undefined) return failure(403, problem);
    const [, bucket, ...rest] = path.split('/');
    if (bucket !== this.bucket) return failure(404, 'NoSuchBucket');
    if (method !== 'PUT' || headers['if-none-match'] !== '*') return failure(405, 'MethodNotAllowed');
    if (headers['content-md5'] !== createHash('md5').update(bytes).digest('base64')) return failure(400, 'BadDigest');
    const key = decodeURIComponent(rest.join('/'));
    if (this.objects.some((object) => object.key === key)) {
      this.conflicts++;
      return failure(412, 'PreconditionFailed');
    }
    const text = key.endsWith('.gz') ? gunzipSync(bytes).toString('utf8') : bytes.toString('utf8');
    this.objects.push({ key, text, headers });
    return this.faultAfter ?? { status: 200 };
  }

  [Symbol.asyncDispose]() {
    return this.server[Symbol.asyncDispose]();
  }
}

const failure = (status: number, code: string): Reaction => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
});

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');

/** AWS, "Create a signed AWS API request": recomputed from what arrived. */
function signatureProblem({ method, path, headers, bytes }: ReceivedRequest, region: string): string | undefined {
  const [, id, date = '', scopeRegion, names = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  if (signature === undefined) return 'AccessDenied';
  if (id !== fakeKeys.accessKeyId) return 'InvalidAccessKeyId';
  if (scopeRegion !== region) return 'AuthorizationHeaderMalformed';
  const required = ['host', 'x-amz-content-sha256', 'x-amz-date'];
  if (!required.every((name) => names.split(';').includes(name))) return 'AccessDenied';
  if (headers['x-amz-content-sha256'] !== sha256(bytes)) return 'XAmzContentSHA256Mismatch';
  const canonicalHeaders = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = [method, path, '', canonicalHeaders.join(''), names, sha256(bytes)].join('\n');
  const scope = `${date}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = ['s3', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${fakeKeys.secretAccessKey}`, date), region));
  return hmac(key, toSign).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch';
}
