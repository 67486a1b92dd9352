import { Module } from '@nestjs/common';
import { KeysController } from './keys.controller';
import { WhoamiController } from './whoami.controller';

@Module({ controllers: [KeysController, WhoamiController] })
export class KeysModule {}
