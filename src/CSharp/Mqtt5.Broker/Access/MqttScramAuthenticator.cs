using Mqtt5.Signing;

namespace Mqtt5;

/// <summary>
/// Enhanced authentication with SCRAM-SHA-256 (RFC 5802, RFC 7677), for credentials from anywhere;
/// <see cref="MqttPasswordFile"/> does it with a file. The password never travels, the client learns whether the server
/// knows it, and strangers do not learn which names there are. Channel binding and authorization for another name are
/// refused. The name that the client proved counts; a User Name in CONNECT is not looked at. Plain authentication is
/// refused with 0x8C, Bad authentication method. Safe to use from many threads.
/// </summary>
/// <param name="find">
/// Gives the credentials of a name; null: there is nobody of this name. Called from many threads. An exception refuses
/// the client with 0x88, Server unavailable.
/// </param>
public sealed class MqttScramAuthenticator(Func<string, CancellationToken, ValueTask<MqttScramCredentials?>> find)
    : IMqttBrokerAuthenticator
{
    /// <summary>The Authentication Method.</summary>
    public const string Method = "SCRAM-SHA-256";

    private readonly ScramStrangers strangers = new(MqttScramCredentials.DefaultIterations);

    /// <summary>
    /// How many iterations a name is told that nobody has; as many as the credentials of others have, so that it does not
    /// stand out. Default: 600,000.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 4,096 to 10,000,000.</exception>
    public int Iterations
    {
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, MqttScramCredentials.FewestIterations);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MqttScramCredentials.MostIterations);
            strangers = new ScramStrangers(value);
        }
    }

    /// <inheritdoc/>
    public ValueTask<MqttAuthenticationResult> AuthenticateAsync(
        MqttAuthenticationContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Method == Method
            ? ScramExchange.StepAsync(context, find, strangers, cancellationToken)
            : new(MqttAuthenticationResult.Refused(ReasonCode.BadAuthenticationMethod));
    }
}
