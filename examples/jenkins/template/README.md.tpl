# [[ AppName ]]

What the team [[ team ]] has agreed on. The apps of [[ Repo.Owner ]] follow it.
