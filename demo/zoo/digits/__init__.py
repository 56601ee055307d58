from pathlib import Path
REPOSITORIES = Path(__file__).parent / "repositories"
