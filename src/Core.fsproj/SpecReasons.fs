namespace Mqtt5

// The reason codes of table 2-6 and the packets in which each end may send them.
[<RequireQualifiedAccess>]
module internal SpecReasons =

    // A rule for each reason code, in ascending order.
    let rules: ReasonRule[] =
        let none = Scope.None
        let published = Scope.Puback ||| Scope.Pubrec
        let released = Scope.Pubrel ||| Scope.Pubcomp

        let rule code name title fromClient fromServer description =
            {
                Code = code
                Name = name
                Title = title
                Description = description
                FromClient = fromClient
                FromServer = fromServer
            }

        let both code name title fromBoth fromServer description =
            rule code name title fromBoth (fromBoth ||| fromServer) description

        [|
            both
                ReasonCode.Success
                "Success"
                "Success"
                (published ||| released ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback ||| Scope.Auth)
                "The operation succeeded; in DISCONNECT the connection ends normally; in SUBACK QoS 0 is granted."
            rule
                ReasonCode.GrantedQoS1
                "GrantedQoS1"
                "Granted QoS 1"
                none
                Scope.Suback
                "The subscription is granted QoS 1."
            rule
                ReasonCode.GrantedQoS2
                "GrantedQoS2"
                "Granted QoS 2"
                none
                Scope.Suback
                "The subscription is granted QoS 2."
            rule
                ReasonCode.DisconnectWithWillMessage
                "DisconnectWithWillMessage"
                "Disconnect with Will Message"
                Scope.Disconnect
                none
                "The client leaves and wants the server to publish its Will Message all the same."
            rule
                ReasonCode.NoMatchingSubscribers
                "NoMatchingSubscribers"
                "No matching subscribers"
                none
                published
                "The message is accepted, but no subscription matches its topic."
            rule
                ReasonCode.NoSubscriptionExisted
                "NoSubscriptionExisted"
                "No subscription existed"
                none
                Scope.Unsuback
                "The client had no subscription to this Topic Filter."
            both
                ReasonCode.ContinueAuthentication
                "ContinueAuthentication"
                "Continue authentication"
                Scope.Auth
                none
                "The authentication needs another step."
            rule
                ReasonCode.ReAuthenticate
                "ReAuthenticate"
                "Re-authenticate"
                Scope.Auth
                none
                "The client starts to authenticate again."
            both
                ReasonCode.UnspecifiedError
                "UnspecifiedError"
                "Unspecified error"
                (published ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback)
                "It failed, and the sender does not tell why or no other code fits."
            both
                ReasonCode.MalformedPacket
                "MalformedPacket"
                "Malformed Packet"
                Scope.Disconnect
                Scope.Connack
                "The packet could not be parsed by the rules of the standard."
            both
                ReasonCode.ProtocolError
                "ProtocolError"
                "Protocol Error"
                Scope.Disconnect
                Scope.Connack
                "The packet could be parsed, but what it says or when it came is not allowed."
            both
                ReasonCode.ImplementationSpecificError
                "ImplementationSpecificError"
                "Implementation specific error"
                (published ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback)
                "The packet is valid, but this implementation does not accept it."
            rule
                ReasonCode.UnsupportedProtocolVersion
                "UnsupportedProtocolVersion"
                "Unsupported Protocol Version"
                none
                Scope.Connack
                "The server does not speak the version of the protocol that the client asked for."
            rule
                ReasonCode.ClientIdentifierNotValid
                "ClientIdentifierNotValid"
                "Client Identifier not valid"
                none
                Scope.Connack
                "The Client Identifier is a valid string, but the server does not accept it."
            rule
                ReasonCode.BadUserNameOrPassword
                "BadUserNameOrPassword"
                "Bad User Name or Password"
                none
                Scope.Connack
                "The server does not accept the user name or the password."
            both
                ReasonCode.NotAuthorized
                "NotAuthorized"
                "Not authorized"
                published
                (Scope.Connack ||| Scope.Suback ||| Scope.Unsuback ||| Scope.Disconnect)
                "The client may not do this."
            rule
                ReasonCode.ServerUnavailable
                "ServerUnavailable"
                "Server unavailable"
                none
                Scope.Connack
                "The server is not available."
            rule
                ReasonCode.ServerBusy
                "ServerBusy"
                "Server busy"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The server is busy; the client may try again later."
            rule
                ReasonCode.Banned
                "Banned"
                "Banned"
                none
                Scope.Connack
                "The client is banned by an administrator."
            rule
                ReasonCode.ServerShuttingDown
                "ServerShuttingDown"
                "Server shutting down"
                none
                Scope.Disconnect
                "The server shuts down."
            // Table 2-6 lists 0x8C for DISCONNECT, table 3-10 does not; servers send it when a
            // re-authentication fails.
            rule
                ReasonCode.BadAuthenticationMethod
                "BadAuthenticationMethod"
                "Bad authentication method"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The authentication method is not supported, or not the one in use."
            rule
                ReasonCode.KeepAliveTimeout
                "KeepAliveTimeout"
                "Keep Alive timeout"
                none
                Scope.Disconnect
                "The server received nothing for one and a half times the Keep Alive."
            rule
                ReasonCode.SessionTakenOver
                "SessionTakenOver"
                "Session taken over"
                none
                Scope.Disconnect
                "Another connection uses the same Client Identifier."
            rule
                ReasonCode.TopicFilterInvalid
                "TopicFilterInvalid"
                "Topic Filter invalid"
                none
                (Scope.Suback ||| Scope.Unsuback ||| Scope.Disconnect)
                "The Topic Filter is well formed, but the server does not accept it."
            both
                ReasonCode.TopicNameInvalid
                "TopicNameInvalid"
                "Topic Name invalid"
                (published ||| Scope.Disconnect)
                Scope.Connack
                "The Topic Name is well formed, but the receiver does not accept it."
            both
                ReasonCode.PacketIdentifierInUse
                "PacketIdentifierInUse"
                "Packet Identifier in use"
                published
                (Scope.Suback ||| Scope.Unsuback)
                "The Packet Identifier is in use; the two sides disagree on the session state."
            both
                ReasonCode.PacketIdentifierNotFound
                "PacketIdentifierNotFound"
                "Packet Identifier not found"
                released
                none
                "The Packet Identifier is not known; during recovery this is no error."
            both
                ReasonCode.ReceiveMaximumExceeded
                "ReceiveMaximumExceeded"
                "Receive Maximum exceeded"
                Scope.Disconnect
                none
                "More messages are under way than the receiver announced to take."
            both
                ReasonCode.TopicAliasInvalid
                "TopicAliasInvalid"
                "Topic Alias invalid"
                Scope.Disconnect
                none
                "The Topic Alias is 0 or above the maximum that the receiver announced."
            both
                ReasonCode.PacketTooLarge
                "PacketTooLarge"
                "Packet too large"
                Scope.Disconnect
                Scope.Connack
                "The packet is larger than the receiver accepts."
            both
                ReasonCode.MessageRateTooHigh
                "MessageRateTooHigh"
                "Message rate too high"
                Scope.Disconnect
                none
                "Messages arrive faster than the receiver accepts."
            both
                ReasonCode.QuotaExceeded
                "QuotaExceeded"
                "Quota exceeded"
                (published ||| Scope.Disconnect)
                (Scope.Connack ||| Scope.Suback)
                "A limit of the implementation or of its administrator is exceeded."
            both
                ReasonCode.AdministrativeAction
                "AdministrativeAction"
                "Administrative action"
                Scope.Disconnect
                none
                "An administrator closed the connection."
            both
                ReasonCode.PayloadFormatInvalid
                "PayloadFormatInvalid"
                "Payload format invalid"
                (published ||| Scope.Disconnect)
                Scope.Connack
                "The payload is not of the format that the Payload Format Indicator promises."
            rule
                ReasonCode.RetainNotSupported
                "RetainNotSupported"
                "Retain not supported"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The server does not keep retained messages."
            // Table 3-10 gives 0x9B to the server only, section 3.3.4 has the client send it as well.
            both
                ReasonCode.QoSNotSupported
                "QoSNotSupported"
                "QoS not supported"
                Scope.Disconnect
                Scope.Connack
                "The QoS is above the Maximum QoS that the receiver announced."
            rule
                ReasonCode.UseAnotherServer
                "UseAnotherServer"
                "Use another server"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The client should use another server for now."
            rule
                ReasonCode.ServerMoved
                "ServerMoved"
                "Server moved"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "The client should use another server from now on."
            rule
                ReasonCode.SharedSubscriptionsNotSupported
                "SharedSubscriptionsNotSupported"
                "Shared Subscriptions not supported"
                none
                (Scope.Suback ||| Scope.Disconnect)
                "The server has no shared subscriptions for this client."
            rule
                ReasonCode.ConnectionRateExceeded
                "ConnectionRateExceeded"
                "Connection rate exceeded"
                none
                (Scope.Connack ||| Scope.Disconnect)
                "Connections arrive faster than the server accepts."
            rule
                ReasonCode.MaximumConnectTime
                "MaximumConnectTime"
                "Maximum connect time"
                none
                Scope.Disconnect
                "The connection was open for as long as the server allows."
            rule
                ReasonCode.SubscriptionIdentifiersNotSupported
                "SubscriptionIdentifiersNotSupported"
                "Subscription Identifiers not supported"
                none
                (Scope.Suback ||| Scope.Disconnect)
                "The server has no Subscription Identifiers."
            rule
                ReasonCode.WildcardSubscriptionsNotSupported
                "WildcardSubscriptionsNotSupported"
                "Wildcard Subscriptions not supported"
                none
                (Scope.Suback ||| Scope.Disconnect)
                "The server has no wildcard subscriptions for this client."
        |]
