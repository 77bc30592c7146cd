using Microsoft.Extensions.Logging;
using Mqtt5.HttpHook.Requests;

namespace Mqtt5.HttpHook.Authentication;

internal sealed partial class HookAuthenticator(HookQuestions questions, ILogger logger, Func<TimeProvider> clock) : IMqttBrokerAuthenticator
{
    public async ValueTask<MqttAuthenticationResult> AuthenticateAsync(
        MqttAuthenticationContext context, CancellationToken cancellationToken)
    {
        if (context.Method is not null)
            return MqttAuthenticationResult.Refused(ReasonCode.BadAuthenticationMethod);

        var answer = await questions.AskAsync(HookBody.OfConnect(context)).WaitAsync(cancellationToken).ConfigureAwait(false);

        if (answer is null)
            return MqttAuthenticationResult.Refused(ReasonCode.ServerUnavailable);

        if (!answer.IsAllowed)
            return MqttAuthenticationResult.Refused(ReasonCode.BadUserNameOrPassword);

        if (answer.ExpiresAt <= clock().GetUtcNow())
            return MqttAuthenticationResult.Refused(ReasonCode.NotAuthorized);

        context.State = new HookGrant(answer.Rules);

        if ((answer.UserName ?? context.UserName) is { Length: > 0 } name)
            return MqttAuthenticationResult.AcceptedAs(name, expiresAt: answer.ExpiresAt);

        if (answer.ExpiresAt is null)
            return MqttAuthenticationResult.Anonymous;

        LogNameless(logger);
        return MqttAuthenticationResult.Refused(ReasonCode.ServerUnavailable);
    }

    [LoggerMessage(2, LogLevel.Warning, "the HTTP hook allowed a client without a user name until a time, which needs a name")]
    private static partial void LogNameless(ILogger logger);
}
