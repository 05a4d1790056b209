import { randomUUID } from 'node:crypto';
import { Column, Entity, ManyToOne, OneToMany, PrimaryColumn, VersionColumn } from 'typeorm';
import { Sealed } from '../../sealed.js';
import { BlindIndex, Encrypted, Sensitive } from '../columns.js';

interface Address {
  readonly street: string;
  readonly floors: readonly number[];
}

@Entity('customer')
export class Customer {
  @PrimaryColumn('uuid')
  id: string = randomUUID();

  @Column('text')
  tenant!: string;

  @Column('text', { default: '' })
  note!: string;

  @Encrypted({ dataClass: 'identity' })
  name!: Sealed<string>;

  @Encrypted({ dataClass: 'payment', nullable: true })
  iban!: Sealed<string> | null;

  @BlindIndex({ of: 'iban', normalize: (iban: string) => iban.replaceAll(' ', '').toUpperCase() })
  ibanIndex?: Uint8Array | null;

  @Encrypted({ nullable: true, keyId: 'alias/addresses' })
  address!: Sealed<Address> | null;

  @Encrypted({ as: 'bytes', nullable: true, field: 'customer.scan' })
  passport!: Sealed<Uint8Array> | null;

  @Sensitive('contact')
  @Column('text', { nullable: true })
  phone!: string | null;

  @VersionColumn()
  revision!: number;

  @OneToMany(
    () => Order,
    (order) => order.customer,
    { cascade: true },
  )
  orders!: Order[];
}

@Entity('order')
export class Order {
  @PrimaryColumn('text')
  tenant!: string;

  @PrimaryColumn('int')
  number!: number;

  @ManyToOne(
    () => Customer,
    (customer) => customer.orders,
  )
  customer!: Customer;

  @Encrypted()
  text!: Sealed<string>;
}
