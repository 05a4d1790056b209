import { randomUUID } from 'node:crypto';
import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { Sealed } from '#sdk';
import { BlindIndex, Encrypted, Sensitive } from '#sdk/typeorm';

@Entity('customer')
export class Customer {
  @PrimaryColumn('uuid')
  id: string = randomUUID();

  @Column('text')
  tenant!: string;

  @Encrypted({ dataClass: 'identity' })
  name!: Sealed<string>;

  @Encrypted({ dataClass: 'payment' })
  iban!: Sealed<string>;

  @BlindIndex({ of: 'iban', normalize: (iban: string) => iban.replaceAll(' ', '').toUpperCase(), name: 'iban_index' })
  ibanIndex?: Uint8Array;

  /** Not encrypted, and the coverage report says so. */
  @Sensitive('contact')
  @Column('text', { nullable: true })
  phone!: string | null;
}

@Entity('invoice')
export class Invoice {
  @PrimaryColumn('uuid')
  id: string = randomUUID();

  @Column('text')
  tenant!: string;

  @ManyToOne(() => Customer, { nullable: false })
  @JoinColumn({ name: 'customer_id' })
  customer!: Customer;

  @Column('int')
  cents!: number;

  @Column('boolean', { default: false })
  paid!: boolean;

  @Encrypted({ dataClass: 'purchase' })
  text!: Sealed<string>;
}
