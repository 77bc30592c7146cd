using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mqtt5.HttpHook.Authentication;
using Mqtt5.HttpHook.Authorization;
using Mqtt5.HttpHook.Requests;

namespace Mqtt5.HttpHook;

/// <summary>Has a broker ask an HTTP server about its clients.</summary>
public static class MqttHttpHookExtensions
{
    /// <summary>The name of the client of <see cref="IHttpClientFactory"/> that sends the requests.</summary>
    public const string HttpClientName = "Mqtt5.HttpHook";

    /// <summary>The name of the meter that measures the requests.</summary>
    public const string MeterName = "Mqtt5.HttpHook";

    /// <summary>
    /// Adds what <see cref="UseHttpHook"/> needs: the options and an HTTP client that follows no redirect, has no cookies and
    /// writes no log of its own. Added again, the later options replace those before.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Fills the options; called at once.</param>
    /// <returns>The HTTP client, for handlers of the application, such as one that sets a fresh token or has a certificate.</returns>
    /// <exception cref="ArgumentException">An option is out of its range, or there is no URL.</exception>
    public static IHttpClientBuilder AddMqttHttpHook(this IServiceCollection services, Action<MqttHttpHookOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        var hook = new MqttHttpHookOptions();
        configure(hook);
        hook.Check();
        services.Replace(ServiceDescriptor.Singleton(hook));
        return services.AddHttpClient(HttpClientName)
            .ConfigureHttpClient(client => client.Timeout = Timeout.InfiniteTimeSpan)
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
            .RemoveAllLoggers();
    }

    /// <summary>
    /// The server of <see cref="AddMqttHttpHook"/> authenticates clients, if there is an
    /// <see cref="MqttHttpHookOptions.AuthenticationUrl"/>, and says what they may do: by rules in the answer to their
    /// authentication, or else for each topic, if there is an <see cref="MqttHttpHookOptions.AuthorizationUrl"/>. Where there
    /// are neither, the authorizer that the options had before decides, or everything is allowed if they had none. Clients of
    /// the same process are not asked about. While there is no answer, clients are refused with 0x88 and topics with 0x87.
    /// </summary>
    /// <param name="options">The options of the broker. Its clock decides when an answer has expired.</param>
    /// <param name="services">The services of the application.</param>
    /// <returns>The options of the broker.</returns>
    /// <exception cref="InvalidOperationException">
    /// The application has no hook, its time limit is not below the broker's <see cref="MqttBrokerLimits.ConnectTimeout"/>, or
    /// topics are to be asked about while <see cref="MqttBrokerOptions.CallbacksMayBlock"/> is false. Set both before.
    /// </exception>
    public static MqttBrokerOptions UseHttpHook(this MqttBrokerOptions options, IServiceProvider services)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(services);
        var hook = services.GetService<MqttHttpHookOptions>()
            ?? throw new InvalidOperationException($"the application needs services.{nameof(AddMqttHttpHook)}()");

        if (hook.TimeLimit >= options.Limits.ConnectTimeout)
            throw new InvalidOperationException("the time limit of the HTTP hook has to be below the ConnectTimeout of the broker");

        if (hook.AuthorizationUrl is not null && !options.CallbacksMayBlock)
            throw new InvalidOperationException("the HTTP hook is asked about topics only where CallbacksMayBlock is true; rules in the answer need no asking");

        var logger = services.GetService<ILoggerFactory>()?.CreateLogger(HttpClientName) ?? NullLogger.Instance;
        TimeProvider Clock() => options.TimeProvider;
        var places = new SemaphoreSlim(hook.MaximumConcurrentRequests);
        var requests = new HookRequests(services.GetRequiredService<IHttpClientFactory>(), hook, places, logger, Clock);

        if (hook.AuthenticationUrl is { } authentication)
        {
            var questions = new HookQuestions(requests, HookSubject.Authentication, authentication, hook, Clock);
            options.Authenticator = new HookAuthenticator(questions, logger, Clock);
        }

        var topics = hook.AuthorizationUrl is { } authorization
            ? new HookQuestions(requests, HookSubject.Authorization, authorization, hook, Clock)
            : null;
        options.Authorizer = new HookAuthorizer(topics, hook.TimeLimit, options.Authorizer);
        return options;
    }
}
