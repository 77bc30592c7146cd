namespace Mqtt5.Verification

/// Probes for enhanced authentication (sections 3.15 and 4.12). The one method that they speak is SCRAM-SHA-256.
[<RequireQualifiedAccess>]
module AuthenticationProbes =

    let private probe = ProbeSyntax.probe

    let private others =
        [
            probe
                []
                "4.12.0-1 4.12.0-4 3.2.2-7 4.13.2-1"
                "An Authentication Method that is not supported is refused"
                """
                c > CONNECT clean=1 clientid="~c" props{AuthenticationMethod="mqtt5-verify", AuthenticationData="x"}
                c unless CONNACK rc=Success : the server takes any method
                c refused BadAuthenticationMethod|NotAuthorized
                """
            probe
                []
                "3.2.2-19 3.2.2-20"
                "A CONNACK that refuses is no larger than the client takes"
                """
                c > CONNECT clean=1 clientid="~c" props{MaximumPacketSize=20, AuthenticationMethod="mqtt5-verify"}
                c unless CONNACK rc=Success : the server takes any method
                c refused any [MQTT-4.12.0-1]
                """
            probe
                []
                "4.12.0-6"
                "Without an Authentication Method there is none in CONNACK, and no AUTH"
                """
                c > CONNECT clean=1 clientid="~c"
                c first CONNACK rc=Success !AuthenticationMethod
                c quiet
                """
        ]

    let private method = $"AuthenticationMethod=\"{Scram.Method}\""

    // CONNECT with more properties, and the challenge.
    let private begins (more: string) =
        $$"""
        c > CONNECT clean=1 clientid="~c" props{{{method}}, AuthenticationData=scram-opening{{more}}}
        c sees AUTH rc=ContinueAuthentication [MQTT-4.12.0-2]
        c first AUTH {{method}} AuthenticationData=$challenge [MQTT-4.12.0-5]
        """

    let private answers (message: string) =
        $$"""
        c > AUTH rc=ContinueAuthentication props{{{method}}, AuthenticationData={{message}}}
        """

    let private signsIn =
        begins ""
        + answers "scram-proof($challenge)"
        + $"c first CONNACK rc=Success {method} [MQTT-4.12.0-5]"

    let private renews =
        $$"""
        c > AUTH rc=ReAuthenticate props{{{method}}, AuthenticationData=scram-opening}
        c sees AUTH rc=ContinueAuthentication [MQTT-4.12.0-2]
        c next AUTH {{method}} AuthenticationData=$again [MQTT-4.12.0-5]
        """

    let private scram =
        [
            probe
                [ Scram ]
                "4.12.0-2 4.12.0-5 3.15.2-1"
                "A server that authenticates in steps sends AUTH and CONNACK with the method of CONNECT"
                (signsIn + "\nc quiet")
            probe
                [ Scram ]
                "4.12.0-4 4.13.2-1 3.2.2-7"
                "A client whose proof is wrong is refused"
                (begins "" + answers "scram-forgery($challenge)" + "c refused any")
            probe
                [ Scram ]
                "4.12.0-5 3.15.2-1"
                "A client authenticates again on its connection, and is served meanwhile and after"
                (signsIn
                 + renews
                 + "c > PINGREQ\nc < PINGRESP [MQTT-3.12.4-1]"
                 + answers "scram-proof($again)"
                 + $"c sees AUTH rc=Success\nc next AUTH {method}\nc quiet")
            probe
                [ Scram ]
                "4.12.1-2"
                "A client that fails to authenticate again is disconnected"
                (signsIn + renews + answers "scram-forgery($again)" + "c ends any")
            probe
                [ Scram ]
                "4.12.0-5"
                "An AUTH with another method than that of CONNECT closes the connection"
                (signsIn
                 + """
                 c > AUTH rc=ReAuthenticate props{AuthenticationMethod="mqtt5-verify"}
                 c ends any
                 """)
            probe
                [ Scram ]
                "3.15.2-2 3.15.2-3"
                "AUTH is no larger than the client takes"
                ($$"""
                 c > CONNECT clean=1 clientid="~c" props{MaximumPacketSize=200, {{method}}, AuthenticationData=scram-opening}
                 c unless CONNACK rc=error : the server has no challenge of at most 200 bytes
                 c first AUTH {{method}} AuthenticationData=$challenge
                 """
                 + answers "scram-forgery($challenge)"
                 + "c refused any")
        ]

    /// Asks a server whether it takes SCRAM-SHA-256.
    [<CompiledName("Question")>]
    let question: Probe =
        probe
            []
            "4.12.0-1"
            "The server takes SCRAM-SHA-256"
            $$"""
            c > CONNECT clean=1 clientid="~c" props{{{method}}, AuthenticationData=scram-opening}
            c first AUTH
            """

    /// Why clients cannot authenticate with SCRAM-SHA-256, by what was seen of the question; absent: it is possible.
    [<CompiledName("LacksScram")>]
    let lacksScram (settings: ProbeSettings) (exchanges: ProbeExchange seq) : string voption =
        let answer =
            exchanges
            |> Seq.tryFind (fun one -> one.Kind = ExchangeKind.Receiving)
            |> Option.map _.Text

        match answer with
        | _ when settings.UserName.IsNone || settings.Password.IsNone ->
            ValueSome "no name and password were given, which SCRAM-SHA-256 needs"
        // A malformed AUTH is shown by its bytes; the probes tell what is wrong with it.
        | Some text when text.StartsWith "AUTH" || text.StartsWith "F" -> ValueNone
        | Some text -> ValueSome $"the server does not take SCRAM-SHA-256: {text}"
        | None -> ValueSome "the server does not take SCRAM-SHA-256"

    /// The probes.
    [<CompiledName("All")>]
    let all: Probe list = others @ scram
