from camdrop.cli import main

main()
