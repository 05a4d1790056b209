import pkcs11js from 'pkcs11js';

/** Numbers that pkcs11js does not name (PKCS#11 v3.0). */
export const CKM_EC_EDWARDS_KEY_PAIR_GEN = 0x1055;
const CKK_EC_EDWARDS = 0x40;

export const OBJECT_CLASS = {
  secret: pkcs11js.CKO_SECRET_KEY,
  private: pkcs11js.CKO_PRIVATE_KEY,
  public: pkcs11js.CKO_PUBLIC_KEY,
} as const;
export const KEY_TYPE = {
  aes: pkcs11js.CKK_AES,
  generic: pkcs11js.CKK_GENERIC_SECRET,
  edwards: CKK_EC_EDWARDS,
  ec: pkcs11js.CKK_EC,
  rsa: pkcs11js.CKK_RSA,
} as const;

/** Every attribute that Keyward writes, searches or reads. */
const ATTRIBUTES = {
  class: pkcs11js.CKA_CLASS,
  keyType: pkcs11js.CKA_KEY_TYPE,
  token: pkcs11js.CKA_TOKEN,
  private: pkcs11js.CKA_PRIVATE,
  label: pkcs11js.CKA_LABEL,
  id: pkcs11js.CKA_ID,
  valueLen: pkcs11js.CKA_VALUE_LEN,
  sensitive: pkcs11js.CKA_SENSITIVE,
  extractable: pkcs11js.CKA_EXTRACTABLE,
  modifiable: pkcs11js.CKA_MODIFIABLE,
  alwaysSensitive: pkcs11js.CKA_ALWAYS_SENSITIVE,
  neverExtractable: pkcs11js.CKA_NEVER_EXTRACTABLE,
  encrypt: pkcs11js.CKA_ENCRYPT,
  decrypt: pkcs11js.CKA_DECRYPT,
  wrap: pkcs11js.CKA_WRAP,
  unwrap: pkcs11js.CKA_UNWRAP,
  sign: pkcs11js.CKA_SIGN,
  verify: pkcs11js.CKA_VERIFY,
  derive: pkcs11js.CKA_DERIVE,
  allowedMechanisms: pkcs11js.CKA_ALLOWED_MECHANISMS,
  ecParams: pkcs11js.CKA_EC_PARAMS,
  ecPoint: pkcs11js.CKA_EC_POINT,
  value: pkcs11js.CKA_VALUE,
  modulus: pkcs11js.CKA_MODULUS,
  modulusBits: pkcs11js.CKA_MODULUS_BITS,
  publicExponent: pkcs11js.CKA_PUBLIC_EXPONENT,
} as const;

export type AttributeName = keyof typeof ATTRIBUTES;
type NumberAttribute = 'class' | 'keyType' | 'valueLen' | 'modulusBits';
type TextAttribute = 'label';
type BytesAttribute = 'id' | 'allowedMechanisms' | 'ecParams' | 'ecPoint' | 'value' | 'modulus' | 'publicExponent';
type FlagAttribute = Exclude<AttributeName, NumberAttribute | TextAttribute | BytesAttribute>;

export type Template = { readonly [Name in NumberAttribute]?: number } & { readonly [Name in TextAttribute]?: string } & {
  readonly [Name in BytesAttribute]?: Buffer;
} & { readonly [Name in FlagAttribute]?: boolean };

const isFlag = (value: unknown) => typeof value === 'boolean';
const isNumber = (value: unknown) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isText = (value: unknown) => typeof value === 'string' && value.length > 0;
const isBytes = (value: unknown) => Buffer.isBuffer(value) && value.length > 0;
const CHECKS: Partial<Record<AttributeName, (value: unknown) => boolean>> = {
  ...{ class: isNumber, keyType: isNumber, valueLen: isNumber, label: isText },
  ...{ id: isBytes, allowedMechanisms: isBytes, ecParams: isBytes, ecPoint: isBytes, value: isBytes },
  ...{ modulus: isBytes, publicExponent: isBytes, modulusBits: isNumber },
};

/** A template as pkcs11js takes it. Checked again at run time: a wrong type or an undefined value there aborts the process. */
export function nativeTemplate(template: Template): pkcs11js.Template {
  return attributeNames(template).map((name) => {
    const value = template[name];
    if (value === undefined || !(CHECKS[name] ?? isFlag)(value))
      throw new TypeError(`The attribute ${name} has a value of the wrong type.`);
    return { type: attributeNumber(name), value };
  });
}

/** CKA_… of an attribute. @throws TypeError for a name that is not in the table. */
export function attributeNumber(name: AttributeName): number {
  const number = Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name] : undefined;
  if (typeof number !== 'number') throw new TypeError('Unknown attribute.');
  return number;
}

/** CKA_ALLOWED_MECHANISMS is an array of CK_ULONG in the host's byte order: 8 bytes, little-endian on all supported platforms. */
export function mechanismList(...mechanisms: readonly number[]): Buffer {
  const list = Buffer.alloc(8 * mechanisms.length);
  mechanisms.forEach((mechanism, index) => list.writeBigUInt64LE(BigInt(mechanism), 8 * index));
  return list;
}

const attributeNames = (template: Template) => Object.keys(template) as AttributeName[];
