from beiwe_sync.cli import main

main()
