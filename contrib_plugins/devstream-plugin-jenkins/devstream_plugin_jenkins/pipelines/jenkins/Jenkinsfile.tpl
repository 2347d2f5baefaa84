// Written by DevStream. Change it in DevStream's configuration: the next run writes it again.
pipeline {
    agent any
    options {
        timeout(time: 1, unit: 'HOURS')
    }
    stages {
[% if test.enable %]
        stage('Test') {
[% if test.containerName %]
            agent {
                docker {
                    image [[ test.containerGroovy ]]
                    reuseNode true
                }
            }
[% endif %]
            steps {
[% for command in test.commandsGroovy %]
                sh [[ command ]]
[% endfor %]
            }
        }
[% endif %]
[% if sonarqube %]
        stage('SonarQube') {
            steps {
                withCredentials([ [[ sonarqube.secrets ]] ]) {
                    sh [[ sonarqube.scriptGroovy ]]
                }
            }
        }
[% endif %]
[% if imageRepo %]
        stage('Image') {
[% if multibranch %]
            when {
                branch [[ Repo.BranchGroovy ]]
            }
[% endif %]
            steps {
                withCredentials([ [[ imageRepo.secrets ]] ]) {
                    sh [[ imageRepo.scriptGroovy ]]
                }
            }
        }
[% endif %]
    }
[% if notify.enable %]
    post {
[% for one in notify.results %]
        [[ one.result ]] {
            withCredentials([ [[ notify.secrets ]] ]) {
                sh [[ one.scriptGroovy ]]
            }
        }
[% endfor %]
    }
[% endif %]
}
