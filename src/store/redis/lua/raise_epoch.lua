return raise_epoch(told.device, told.epoch) and 1 or 0
