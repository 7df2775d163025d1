import { system } from 'atoll'
import orders from './orders.ts'
import payments from './payments.ts'
import stock from './stock.ts'

export default system('orders', { services: [orders, stock, payments] })
