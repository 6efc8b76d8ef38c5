import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';

/** Ed25519 keys that sign seals (RFC 8032), and their ids. */
export interface SigningKey {
  readonly id: string;
  /** The public key, SPKI DER in base64. */
  readonly publicDer: string;
  sign(text: string): string;
}

export interface VerifyingKey {
  readonly id: string;
  /** Whether `signature` (base64) is this key's over the UTF-8 bytes of `text`. */
  verifies(text: string, signature: string): boolean;
}

/** A text that is no usable key; the message does not quote it. */
export class KeyProblem extends Error {
  override readonly name = 'KeyProblem';
}

/** @param pem PKCS#8 @throws {KeyProblem} */
export function signingKey(pem: string): SigningKey {
  const key = parsed(() => createPrivateKey(pem), 'is no private key: make one with "evidence init --key FILE"');
  requireEd25519(key);
  const publicKey = createPublicKey(key);
  return {
    id: keyId(publicKey),
    publicDer: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    sign: (text) => sign(null, Buffer.from(text), key).toString('base64'),
  };
}

/** @param text SPKI as PEM, or as base64 of its DER @throws {KeyProblem} */
export function verifyingKey(text: string): VerifyingKey {
  const isPem = text.includes('-----BEGIN');
  if (isPem && text.includes('PRIVATE KEY'))
    throw new KeyProblem('is a private key: use the public key that "evidence init" printed');
  const key = parsed(
    () => createPublicKey(isPem ? text : { key: Buffer.from(text, 'base64'), type: 'spki', format: 'der' }),
    'is no public key: use what "evidence init" printed',
  );
  requireEd25519(key);
  return {
    id: keyId(key),
    verifies: (signed, signature) => {
      const bytes = Buffer.from(signature, 'base64');
      return bytes.toString('base64') === signature && verify(null, Buffer.from(signed), key, bytes);
    },
  };
}

/** A new key: the private one as PKCS#8 PEM, the public one as SPKI PEM. */
export function newKey(): { readonly privatePem: string; readonly publicPem: string; readonly id: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    id: keyId(publicKey),
  };
}

/** The first 16 hex digits of the SHA-256 of the 32 raw bytes of the public key, which end its SPKI (RFC 8410). */
function keyId(publicKey: KeyObject): string {
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  return hash('sha256', raw, 'hex').slice(0, 16);
}

function parsed(parse: () => KeyObject, problem: string): KeyObject {
  try {
    return parse();
  } catch (error) {
    // OpenSSL's errors and Node's for texts it does not recognise.
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new KeyProblem(problem);
  }
}

function requireEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519')
    throw new KeyProblem(`is a key for ${key.asymmetricKeyType}, and seals are signed with Ed25519`);
}
