/// All servers with one mistake.
module Mqtt5.Tests.WrongServers.WrongServers

let all: WrongServer list =
    List.concat
        [
            WrongConnects.all
            WrongAuthentications.all
            WrongSessions.all
            WrongPublishes.all
            WrongDeliveries.all
            WrongSubscriptions.all
            WrongErrors.all
        ]
