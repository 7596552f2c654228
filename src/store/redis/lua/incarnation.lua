return life() or life(ARGV[1])
