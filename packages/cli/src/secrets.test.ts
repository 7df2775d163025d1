import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { maskSecrets } from './secrets.ts'

describe('an address that is shown', () => {
  it('has no password in it, wherever that stands, and whatever is in it', () => {
    for (const [address, shown] of [
      ['postgres://shop:hush@db/shop', 'postgres://shop:***@db/shop'],
      ['postgres://shop:hu@sh@db/shop', 'postgres://shop:***@db/shop'],
      ['postgres://shop:@hush@@db:5432/shop', 'postgres://shop:***@db:5432/shop'],
      ['postgres://shop:hu%40sh@db/shop', 'postgres://shop:***@db/shop'],
      ['postgres://shop%3Ahush@db/shop', 'postgres://***@db/shop'],
      ['postgres://shop:hush/hush@db/shop', 'postgres://shop:***@db/shop'],
      ['postgres://shop:12/hush@db/shop', 'postgres://shop:***@db/shop'],
      ['postgres://shop:hush?hush@db/shop', 'postgres://shop:***@db/shop'],
      ['postgres://shop:hush#hush@db/shop', 'postgres://shop:***@db/shop'],
      ['postgres://shop:hu:sh@[::1]:5432/shop', 'postgres://shop:***@[::1]:5432/shop'],
      ['postgres://shop:hush@/shop?host=%2Frun', 'postgres://shop:***@/shop?host=%2Frun'],
      ['postgres://db/shop?user=shop&password=hush', 'postgres://db/shop?user=shop&password=***'],
      ['postgres://db/shop?password=hu@sh&sslmode=require', 'postgres://db/shop?password=***&sslmode=require'],
      ['postgres://db/shop?%70assword=hush', 'postgres://db/shop?%70assword=***'],
      ['postgres://db/shop?PGPASSWORD=hush&sslKey=hush', 'postgres://db/shop?PGPASSWORD=***&sslKey=***'],
      ['jdbc:postgresql://db/shop?a=b;password=hush;c=d&e=f', 'jdbc:postgresql://db/shop?a=b;password=***&e=f'],
      ['http://a/b?next=http://c/?token=hush&d=e', 'http://a/b?next=http://c/?token=***&d=e'],
      [`${'x'.repeat(100)}0-x://u:hush@db`, `${'x'.repeat(100)}0-x://u:***@db`],
      ['nats://hush@a:4222,u:hush@b:4222', 'nats://***@a:4222,u:***@b:4222'],
      ['nats://u:hush@a:4222,b:4222,c:4222', 'nats://u:***@a:4222,b:4222,c:4222'],
      ['nats://u:hush,hush@a:4222', 'nats://***@a:4222'],
      ['nats://u:hush@a,u:hush,hush@b', 'nats://u:***@a,***,***@b'],
      ['nats://u:hush@a,nats://u:hush@b', 'nats://u:***@a,nats://u:***@b'],
      ['redis://:hush@host:6379/0', 'redis://:***@host:6379/0'],
      ['kafkas://u:hu@sh@a:9092,b:9092?mechanism=PLAIN', 'kafkas://u:***@a:9092,b:9092?mechanism=PLAIN'],
      ['amqp://u:hush@a:5672,b:5672/vhost', 'amqp://u:***@a:5672,b:5672/vhost'],
    ] as const) {
      assert.equal(maskSecrets(address), shown)
      assert.equal(maskSecrets(`"no answer from ${address}", 3 times`), `"no answer from ${shown}", 3 times`)
    }
  })

  it('takes time with its length, whatever is in it: strangers write in logs, and with the square of it this would not end', () => {
    for (const piece of [
      'a',
      'a,',
      'a.',
      '?',
      '?a',
      ';',
      '&',
      '#a',
      '=',
      '@',
      ',',
      '://',
      ',a://',
      '/',
      '[',
      ':',
      '%',
      '\\',
      'a?a=',
    ]) {
      for (const [before, after] of [
        ['no such page: http://x/ ', ''],
        ['http://', '!'],
        ['http://x/', '"'],
        ['http://x/?', '#'],
      ])
        assert.ok(maskSecrets(before + piece.repeat(500_000) + after).length > 0, piece)
    }
  })

  it('shows nothing of a password through which a text is cut', () => {
    for (const address of [
      'postgres://shop:QQQQ@db/shop?user=shop',
      'postgres://db/shop?a=b&password=QQQQ',
      'nats://a:4222,u:QQQQ@b',
      'nats://QQQQ@a,nats://u:QQQQ@b',
    ]) {
      const text = `"no answer from ${address}", 3 times`
      for (let charsMax = 0; charsMax < text.length; charsMax++)
        assert.doesNotMatch(maskSecrets(text, charsMax), /Q/, String(charsMax))
      assert.equal(maskSecrets(text, text.length), maskSecrets(text))
    }
    assert.equal(maskSecrets('read http://a/b and went on', 20), 'read http://a/b and … (cut)')
    assert.equal(maskSecrets('read http://a/b and went on', 13), 'read http://***… (cut)')
  })

  it('is shown as it is where nothing in it is secret', () => {
    for (const text of [
      'embedded',
      'sqlite:data/shop',
      'http://127.0.0.1:4100',
      'nats://a:4222,b:4222,[::1]:4222',
      'postgres://db/shop?application_name=a@b',
      'http://{service}.shop.svc:4100',
      'key=tea, ann@example.com',
    ])
      assert.equal(maskSecrets(text), text)
  })
})
