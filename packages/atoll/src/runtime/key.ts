import { AtollError } from '@atoll/host'

/** Why something cannot be a key; undefined if it can. Half of a surrogate pair would be stored as U+FFFD, and two keys would become one. */
export function flawOfKey(key: unknown): string | undefined {
  if (typeof key !== 'string') return 'is no text'
  if (key.length === 0) return 'is empty'
  if (key.length > KEY_CHARS_MAX) return `has ${key.length} characters, and ${KEY_CHARS_MAX} are allowed`
  if (key.includes('\0')) return 'contains U+0000'
  return key.isWellFormed() ? undefined : 'contains half of a surrogate pair'
}

/**
 * The refusal of a key: INVALID if it comes from something that was sent, with the field where one is found; EVENT_INVALID if the handler made it, which is
 * then the handler's fault. How a key is made of what a client sent (joined, encoded, cut off) cannot be seen: with `isFromClient` it counts as the
 * client's wherever it may be, for each client could else make a failure of ours as often as it likes.
 */
export function unfitKey(event: string, key: unknown, flaw: string, sent: unknown, isFromClient: boolean): AtollError {
  const texts = typeof key === 'string' ? textsIn(sent) : []
  const field = typeof key === 'string' ? fieldBehind(key, texts) : undefined
  const rule = `the key of ${event} ${flaw}; a key is a well-formed text of 1 to ${KEY_CHARS_MAX} characters, without U+0000`
  if (field === undefined && isFromClient && key !== '' && texts.length > 0) return new AtollError('INVALID', `what was sent makes no key: ${rule}`)
  if (field === undefined) return new AtollError('EVENT_INVALID', rule)
  return new AtollError('INVALID', `${field || 'input'} cannot be a key: ${rule}`, { details: { fields: { [field]: [`cannot be a key: the key of ${event} ${flaw}`] } } })
}

interface Text {
  readonly field: string
  readonly text: string
}

/** The field without which the key would have been one: keys are mostly a field, or some together, perhaps in lower case. */
function fieldBehind(key: string, texts: readonly Text[]): string | undefined {
  if (key === '') return texts.find(({ text }) => text.trim() === '')?.field
  if (key.length > KEY_CHARS_MAX) {
    const longest = texts.toSorted((a, b) => b.text.length - a.text.length)[0]
    return longest && longest.text.length * 4 >= key.length && key.length - longest.text.length <= KEY_CHARS_MAX ? longest.field : undefined
  }
  return texts.find(({ text }) => text.includes('\0') || !text.isWellFormed())?.field
}

/** The texts in a value, and the numbers, which become texts in a key. */
function textsIn(value: unknown, field = ''): Text[] {
  if (typeof value === 'string') return [{ field, text: value }]
  if (typeof value === 'number') return [{ field, text: String(value) }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) => textsIn(part, field === '' ? name : `${field}.${name}`))
}

const KEY_CHARS_MAX = 200
