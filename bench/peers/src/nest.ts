import 'reflect-metadata'
import { Controller, Inject, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import {
  ClientProxy,
  ClientsModule,
  Ctx,
  EventPattern,
  Payload,
  Transport,
  type RmqContext,
  type RmqOptions,
} from '@nestjs/microservices'
import type { ConfirmChannel, ConsumeMessage } from 'amqplib'
import { lastValueFrom } from 'rxjs'
import type { Order } from '../../src/order.ts'
import { readAssignment, serveOrders, serveShipping } from '../../src/peers/program.ts'
import { insertOrder, insertShipment, openDatabase } from './database.ts'

// NestJS microservices on RabbitMQ: persistent messages, a quorum queue, publisher confirms, manual acknowledgement. It
// has no outbox: the event is emitted after the commit. Decorators are called by hand, because they are not erasable
// syntax.

const { role, database, engine, name } = readAssignment()
const pool = openDatabase(database)
const options: RmqOptions['options'] = {
  urls: [engine],
  queue: name,
  persistent: true,
  queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
  socketOptions: { heartbeatIntervalInSeconds: 60 }, // the default, 5, would take it for dead while it is not its turn
}
const logger = ['error'] as const

if (role === 'orders') {
  class Orders {
    readonly client: ClientProxy
    constructor(client: ClientProxy) {
      this.client = client
    }
    async place(order: Order): Promise<{ orderId: string }> {
      await insertOrder(pool, order)
      await lastValueFrom(this.client.emit('order.placed', order), { defaultValue: undefined })
      return { orderId: order.orderId }
    }
  }
  Inject('EVENTS')(Orders, undefined, 0)
  class App {}
  Module({
    imports: [ClientsModule.register([{ name: 'EVENTS', transport: Transport.RMQ, options }])],
    providers: [Orders],
  })(App)
  const app = await NestFactory.createApplicationContext(App, { logger: [...logger] })
  const orders = app.get(Orders)
  await orders.client.connect()
  serveOrders(
    (order) => orders.place(order),
    () => app.close().then(() => pool.end()),
  )
} else {
  await serveShipping(async (shipped) => {
    class Shipping {
      async orderPlaced(order: Order, context: RmqContext): Promise<void> {
        await insertShipment(pool, order)
        shipped(order.orderId)
        // Typed as records: which library is below is not Nest's to know.
        const channel = context.getChannelRef() as ConfirmChannel
        channel.ack(context.getMessage() as ConsumeMessage)
      }
    }
    EventPattern('order.placed')(
      Shipping.prototype,
      'orderPlaced',
      Object.getOwnPropertyDescriptor(Shipping.prototype, 'orderPlaced')!,
    )
    Payload()(Shipping.prototype, 'orderPlaced', 0)
    Ctx()(Shipping.prototype, 'orderPlaced', 1)
    Controller()(Shipping)
    class App {}
    Module({ controllers: [Shipping] })(App)
    const app = await NestFactory.createMicroservice(App, {
      transport: Transport.RMQ,
      options: { ...options, noAck: false, prefetchCount: 256 },
      logger: [...logger],
    })
    await app.listen()
    return () => app.close().then(() => pool.end())
  })
}
