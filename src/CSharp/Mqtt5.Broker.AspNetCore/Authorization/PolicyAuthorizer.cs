using System.Security.Claims;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mqtt5.AspNetCore;

internal sealed partial class PolicyAuthorizer(IServiceScopeFactory scopes, MqttPolicyOptions options, ILogger? logger)
    : IMqttBrokerAuthorizer
{
    private static readonly ClaimsPrincipal Anonymous = new(new ClaimsIdentity());

    public MqttPolicyOptions Options => options;

    public IMqttPermissions Authorize(MqttClientIdentity client)
    {
        if (client.IsInProcess)
            return MqttPermissions.All;

        return client.IsAway
            ? AwayPermissions.Instance
            : new PolicyPermissions(this, client.State as ClaimsPrincipal ?? Anonymous, client);
    }

    // Null: it took too long.
    public bool? Decide(ClaimsPrincipal user, MqttResource resource, string policy)
    {
        var decision = DecideAsync(user, resource, policy);

        if (!decision.IsCompleted && !((IAsyncResult)decision).AsyncWaitHandle.WaitOne(options.DecisionTimeout))
        {
            if (logger is not null)
                LogLate(logger, policy, resource.Action, options.DecisionTimeout);

            // Its failure is of no interest any more.
            _ = decision.ContinueWith(static late => late.Exception, TaskScheduler.Default);
            return null;
        }

        return decision.GetAwaiter().GetResult();
    }

    private async Task<bool> DecideAsync(ClaimsPrincipal user, MqttResource resource, string policy)
    {
        var scope = scopes.CreateAsyncScope();

        await using (scope.ConfigureAwait(false))
        {
            var service = scope.ServiceProvider.GetRequiredService<IAuthorizationService>();
            return (await service.AuthorizeAsync(user, resource, policy).ConfigureAwait(false)).Succeeded;
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "the policy {Policy} did not decide about {Action} within {Limit}, which denies it")]
    private static partial void LogLate(ILogger logger, string policy, MqttAction action, TimeSpan limit);

    // A session from the store, whose client is away and has shown nothing yet: messages wait for it, and are judged by its
    // policies before it gets them.
    private sealed class AwayPermissions : IMqttPermissions
    {
        public static AwayPermissions Instance { get; } = new();

        public bool MayPublish(TopicName topic) => false;

        public bool MaySubscribe(TopicFilter filter) => true;

        public bool MayReceive(TopicName topic) => true;
    }
}
